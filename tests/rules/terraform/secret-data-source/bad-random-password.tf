ephemeral "aws_secretsmanager_random_password" "x" {}
