resource "aws_sqs_queue" "orders" {
  name = "orders"
}

resource "aws_sqs_queue_policy" "orders" {
  queue_url = aws_sqs_queue.orders.id
  policy    = templatefile("${path.module}/policies/queue.json.tpl", { arn = aws_sqs_queue.orders.arn, name = var.service_name })
}
