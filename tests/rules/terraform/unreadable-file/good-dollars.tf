locals {
  text = "costs $$${var.service_name} and $${more}"
}
