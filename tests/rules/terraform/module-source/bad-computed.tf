module "x" {
  source = var.service_name
}
