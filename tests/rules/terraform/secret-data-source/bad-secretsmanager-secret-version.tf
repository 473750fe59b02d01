data "aws_secretsmanager_secret_version" "x" {}
