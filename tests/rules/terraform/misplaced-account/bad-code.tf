locals {
  arn = "arn:aws:iam::125611408459:role/x"
}
