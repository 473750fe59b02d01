resource "aws_db_instance" "main" {
  identifier = "main"
  username   = "app"
}

locals {
  answers = { a = "", b = "no" }
}

resource "aws_sqs_queue" "orders" {
  count = local.answers[substr(aws_db_instance.main.password, 0, 1)] == "" ? 1 : 0
  name  = "orders"
}
