locals {
  other = format("arn:aws:sqs:sa-east-1:%s%d:orders", "123456", 789012)
}
