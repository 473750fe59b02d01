# at: infra/environments/prod/terraform.tfvars
aws_region = "sa-east-1"
account    = "125611408459"
