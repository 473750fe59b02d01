locals {
  name = "orders-${var.environment}"
}
