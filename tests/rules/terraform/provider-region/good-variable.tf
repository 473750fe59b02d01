provider "aws" {
  alias  = "b"
  region = var.aws_region
}
