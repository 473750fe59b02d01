# at: infra/environments/dev/terraform.tfvars
aws_region = "sa-east-1"
account    = "283165662494"
