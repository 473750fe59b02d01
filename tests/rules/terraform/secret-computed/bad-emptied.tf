resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "orders" {
  count = replace(aws_db_instance.main.password, "/^a.*/", "") == "" ? 1 : 0
  name  = "orders"
}
