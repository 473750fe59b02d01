locals {
  arn = "arn:aws:iam::123456789012:root"
}
