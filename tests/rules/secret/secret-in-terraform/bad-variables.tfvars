aws_region  = "sa-east-1"
db_password = "hunter2-Zx9"
