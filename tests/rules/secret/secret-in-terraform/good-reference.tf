locals {
  password = var.service_name
}
