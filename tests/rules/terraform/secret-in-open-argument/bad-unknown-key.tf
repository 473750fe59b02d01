resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "orders" {
  name = aws_db_instance.main[var.service_name]
}
