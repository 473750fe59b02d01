provider "aws" {
  alias  = "x"
  region = var.aws_region
  ec2_metadata_service_endpoint = "x"
}
