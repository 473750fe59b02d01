data "aws_secretsmanager_secret" "db" {
  name = var.service_name
}
