resource "aws_sqs_queue" "x" {
  region = "us-east-1"
}
