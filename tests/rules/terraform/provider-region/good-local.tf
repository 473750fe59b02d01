locals {
  region = var.aws_region
}
provider "aws" {
  alias  = "b"
  region = local.region
}
