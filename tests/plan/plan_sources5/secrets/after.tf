variable "secret" {
  ephemeral = true
  default   = "hunter3"
}

resource "aws_secretsmanager_secret" "orders" {
  name = "orders"
}

resource "aws_secretsmanager_secret_version" "orders" {
  secret_id                = aws_secretsmanager_secret.orders.id
  secret_string_wo         = var.secret
  secret_string_wo_version = 2
}

resource "aws_ssm_parameter" "token" {
  name             = "/orders/token"
  type             = "SecureString"
  value_wo         = var.secret
  value_wo_version = 1
}

resource "aws_ssm_parameter" "plain" {
  name  = "/orders/plain"
  type  = "SecureString"
  value = "hunter4"
}
