locals {
  address = "https://sqs.${regex("[a-z]+", "us")}-east.amazonaws.com"
}
