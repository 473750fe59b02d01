locals {
  other = "arn:aws:iam::${replace("1234-5678-9012", "-", "")}:root"
}
