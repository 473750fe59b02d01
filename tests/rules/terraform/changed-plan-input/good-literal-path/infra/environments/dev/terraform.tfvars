environment  = "dev"
aws_region   = "sa-east-1"
service_name = "bills"
