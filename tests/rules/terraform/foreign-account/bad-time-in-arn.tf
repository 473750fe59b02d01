locals {
  arn = "arn:aws:iam::202405311200:root"
}
