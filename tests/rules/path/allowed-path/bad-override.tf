# at: infra/queue_override.tf
resource "aws_sqs_queue" "orders" {
  name = "orders"
}
