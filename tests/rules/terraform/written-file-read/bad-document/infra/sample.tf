resource "aws_sqs_queue" "orders" {
  name   = "orders"
  policy = file("${path.module}/NOTES.md")
}
