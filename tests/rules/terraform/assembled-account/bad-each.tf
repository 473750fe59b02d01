resource "aws_sns_topic_policy" "orders" {
  for_each = toset(["999988"])
  arn      = aws_sns_topic.orders.arn
  policy   = "{\"Principal\":{\"AWS\":\"${each.value}887777\"}}"
}

resource "aws_sns_topic" "orders" {
  name = "orders"
}
