locals {
  text = templatefile("${path.module}/t.tftpl", { names = ["a", "b"] })
}
