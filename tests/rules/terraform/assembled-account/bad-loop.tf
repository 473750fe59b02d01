locals {
  other = "arn:aws:iam::${join("", [for n in ["1234", "5678", "9012"] : n])}:root"
}
