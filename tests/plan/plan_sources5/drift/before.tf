resource "aws_sqs_queue" "orders" {
  name                       = "orders"
  visibility_timeout_seconds = 30
}

output "timeout" {
  value = aws_sqs_queue.orders.visibility_timeout_seconds
}
