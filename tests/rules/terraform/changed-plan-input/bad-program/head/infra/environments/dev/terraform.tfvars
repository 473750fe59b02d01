environment = "dev"
aws_region  = "sa-east-1"
command     = "env"
