resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_secretsmanager_secret" "login" {
  name = "orders-login"
}

locals {
  login = jsonencode({ host = aws_db_instance.main.address, password = aws_db_instance.main.password })
  first = try(aws_db_instance.main.address, "")
}
