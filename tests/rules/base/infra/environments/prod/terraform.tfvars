environment = "prod"
aws_region  = "sa-east-1"
