environment          = "dev"
aws_region           = "sa-east-1"
organization_account = "813395879296"
