# at: infra/environments/dev/terraform.tfvars
aws_region = "sa-east-1"
provider "aws" {}
