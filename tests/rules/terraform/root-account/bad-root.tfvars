aws_region = "sa-east-1"
root       = "813395879296"
