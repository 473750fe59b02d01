# at: infra/environments/prod/terraform.tfvars
environment = "prod"
aws_region  = "sa-east-1"
account     = "283165662494"
