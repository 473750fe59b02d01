locals {
  arn = "arn:aws:sns:us-east-1:${var.service_name}:x"
}
