resource "aws_sqs_queue" "x" {
  name = "x"
  tags = {
    cost-center = "x"
  }
}
