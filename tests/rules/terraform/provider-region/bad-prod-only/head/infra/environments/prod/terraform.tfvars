environment = "prod"
aws_region  = "xx-central"
