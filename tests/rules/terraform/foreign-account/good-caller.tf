data "aws_caller_identity" "current" {}
locals {
  arn = "arn:aws:sns:${var.aws_region}:${data.aws_caller_identity.current.account_id}:x"
}
