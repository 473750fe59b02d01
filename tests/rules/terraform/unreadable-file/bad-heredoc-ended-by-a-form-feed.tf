locals {
  text = <<E
hello
E
}

locals {
  c = <<X
E
X
}
