provider "aws" {
  alias  = "x"
  region = var.aws_region
  secret_key = "x"
}
