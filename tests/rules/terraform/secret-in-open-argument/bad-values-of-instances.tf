resource "aws_db_instance" "main" {
  count      = 1
  identifier = "main"
  username   = "app"
}

resource "aws_sqs_queue" "orders" {
  name = jsonencode(one(aws_db_instance.main))
}
