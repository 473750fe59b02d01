resource "aws_sns_topic_policy" "x" {
  arn = join("-", ["us", "east", "1"])
}
