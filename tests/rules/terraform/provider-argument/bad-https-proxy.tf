provider "aws" {
  alias  = "x"
  region = var.aws_region
  https_proxy = "x"
}
