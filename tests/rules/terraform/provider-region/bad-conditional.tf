provider "aws" {
  alias  = "b"
  region = var.service_name == "x" ? var.aws_region : "us-east-1"
}
