locals {
  side = "east"
}
resource "aws_sns_topic_policy" "x" {
  arn = "arn:aws:sns:us-${local.side}-1::x"
}
