resource "aws_secretsmanager_secret" "login" {
  name = "orders-login"
}

resource "aws_secretsmanager_secret_version" "login" {
  secret_id     = aws_secretsmanager_secret.login.id
  secret_string = "placeholder"

  lifecycle {
    ignore_changes = [secret_string]
  }
}
