locals {
  text = <<E
hello
E 
}
data "external" "x" {
  program = ["sh", "-c", "id"]
}
locals {
  c = <<X
E
  d = <<Y
X
/*
Y
/* */
}
