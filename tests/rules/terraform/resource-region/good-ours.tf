resource "aws_sqs_queue" "x" {
  name   = "x"
  region = var.aws_region
}
