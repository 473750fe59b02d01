locals {
  text = file("${path.module}/missing.txt")
}
