locals {
  text = file("${path.module}/${var.service_name}")
}
