resource "aws_sqs_queue" "orders" {
  name                       = "orders"
  visibility_timeout_seconds = 30
}

resource "aws_ssm_parameter" "timeout" {
  name  = "/orders/timeout"
  type  = "String"
  value = aws_sqs_queue.orders.visibility_timeout_seconds
}
