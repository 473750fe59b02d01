resource "aws_sqs_queue" "x" {
  provider = evil.x
}
