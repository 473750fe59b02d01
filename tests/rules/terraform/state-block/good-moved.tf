moved {
  from = aws_sqs_queue.a
  to   = aws_sqs_queue.b
}
