provider "aws" {
  alias  = "again"
  region = var.aws_region
}
