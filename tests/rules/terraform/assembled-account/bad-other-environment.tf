locals {
  other = "arn:aws:iam::${join("", ["283165", "662494"])}:root"
}
