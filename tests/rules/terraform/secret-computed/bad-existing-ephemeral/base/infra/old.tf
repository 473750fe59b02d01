ephemeral "aws_secretsmanager_secret_version" "login" {
  secret_id = "orders"
}
