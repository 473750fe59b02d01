provider "aws" {
  alias  = "x"
  region = var.aws_region
  insecure = "x"
}
