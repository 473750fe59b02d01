provider "aws" {
  alias  = "x"
  region = var.aws_region
  access_key = "x"
}
