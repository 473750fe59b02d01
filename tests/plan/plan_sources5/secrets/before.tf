variable "secret" {
  ephemeral = true
  default   = "hunter2"
}

resource "aws_secretsmanager_secret" "orders" {
  name = "orders"
}

resource "aws_secretsmanager_secret_version" "orders" {
  secret_id                = aws_secretsmanager_secret.orders.id
  secret_string_wo         = var.secret
  secret_string_wo_version = 1
}
