environment = "dev"
aws_region  = "sa-east-1"
address = "https://example.com"
