provider "aws" {
  alias  = "x"
  region = var.aws_region
  custom_ca_bundle = "x"
}
