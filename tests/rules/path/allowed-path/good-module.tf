# at: infra/modules/queue/main.tf
resource "aws_sqs_queue" "orders" {
  name = "orders"
}
