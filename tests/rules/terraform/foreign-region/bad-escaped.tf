locals {
  x = "us-\u0065ast-1"
}
