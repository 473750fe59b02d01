environment = "dev"
aws_region  = "sa-east-1"
size        = "t3.large"
