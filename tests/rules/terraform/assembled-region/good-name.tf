locals {
  name = "us-${var.service_name}"
}
resource "aws_sqs_queue" "x" {
  name = "queue-${var.service_name}"
}
