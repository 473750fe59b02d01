resource "aws_db_instance" "main" {
  identifier = "main"
  username   = "app"
}

resource "aws_sqs_queue" "orders" {
  count = [for c in regexall("^a", aws_db_instance.main.password) : 1][0]
  name  = "orders"
}
