provider "aws" {
  alias  = "x"
  region = var.aws_region
  skip_credentials_validation = "x"
}
