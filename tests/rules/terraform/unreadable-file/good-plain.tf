locals {
  text = "a-${var.environment}"
}
