provider "aws" {
  alias  = "x"
  region = var.aws_region
  shared_credentials_files = "x"
}
