environment = "dev"
aws_region  = "sa-east-1"
