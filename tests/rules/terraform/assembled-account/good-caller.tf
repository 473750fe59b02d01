data "aws_caller_identity" "current" {}

locals {
  own    = "arn:aws:iam::${data.aws_caller_identity.current.account_id}:root"
  number = join("", ["123456", "78901"])
}
