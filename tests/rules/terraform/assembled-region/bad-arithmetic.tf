locals {
  topic = "arn:aws:sqs:us-east-${0 + 1}:x:orders"
}
