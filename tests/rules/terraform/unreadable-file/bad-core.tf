locals {
  text = core::file("x")
}
