locals {
  text = templatefile("${path.module}/t.tftpl", {})
}
