locals {
  address = "https://sqs.${regex("[a-z]+", "us")}-east-1.amazonaws.com"
}
