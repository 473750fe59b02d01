resource "aws_db_instance" "main" {
  identifier = "main"
  username   = "app"
}

resource "aws_sqs_queue" "orders" {
  count = lookup({ for c in [substr(aws_db_instance.main.password, 0, 1)] : c => 1 }, "a", 0)
  name  = "orders"
}
