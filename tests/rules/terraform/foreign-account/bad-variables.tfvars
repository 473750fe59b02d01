aws_region = "sa-east-1"
account = "999999999999"
