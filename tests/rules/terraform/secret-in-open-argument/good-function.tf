resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
  username       = "orders"
}

resource "aws_ssm_parameter" "login" {
  name  = "/orders/login"
  type  = "SecureString"
  value = "orders:${aws_db_instance.main.password}"
}

resource "aws_sqs_queue" "orders" {
  name = "orders-${aws_db_instance.main.username}"
}
