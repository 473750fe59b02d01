environment = "dev"
aws_region  = "sa-east-1"
# a note
