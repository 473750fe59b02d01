locals {
  text = file(var.service_name)
}
