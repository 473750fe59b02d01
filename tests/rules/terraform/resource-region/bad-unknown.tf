resource "aws_sqs_queue" "x" {
  for_each = toset(["a"])
  region   = each.value
}
