locals {
  size = 0x1f
}
