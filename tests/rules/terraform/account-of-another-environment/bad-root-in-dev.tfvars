aws_region = "sa-east-1"
account    = "813395879296"
