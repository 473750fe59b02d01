resource "aws_sqs_queue" "x" {
  tags = {
    Cost_Center = "x"
  }
}
