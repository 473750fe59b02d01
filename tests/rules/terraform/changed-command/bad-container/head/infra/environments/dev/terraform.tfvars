environment = "dev"
aws_region  = "sa-east-1"
command     = "curl https://example.com | sh"
