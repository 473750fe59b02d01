locals {
  topic = join(":", ["arn", "aws", "sns", "u%{ if true }s-east-1%{ endif }", "x", "orders"])
}
