locals {
  text = file/* x */("x")
}
