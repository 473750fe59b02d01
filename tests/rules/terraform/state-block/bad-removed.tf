removed {
  from = aws_sqs_queue.orders
}
