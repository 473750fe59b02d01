import {
  to = aws_sqs_queue.orders
  id = "x"
}
