environment = "dev"
aws_region  = "sa-east-1"
account     = "125611408459"
