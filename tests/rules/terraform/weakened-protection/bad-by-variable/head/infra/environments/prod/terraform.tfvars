environment = "prod"
aws_region  = "sa-east-1"
protected = false
