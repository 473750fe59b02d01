locals {
  halves = ["123456", "789012"]
  other  = "arn:aws:iam::${join("", local.halves)}:root"
}
