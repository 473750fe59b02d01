provider "aws" {
  alias  = "x"
  region = var.aws_region
  http_proxy = "x"
}
