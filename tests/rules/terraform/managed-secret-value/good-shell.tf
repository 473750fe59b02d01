resource "aws_secretsmanager_secret" "x" {
  name = var.service_name
}
