locals {
  name_prefix = "${var.service_name}-${var.environment}"

  # Values that the tagging standard allows for `environment`.
  environment_tag = {
    dev  = "development"
    prod = "production"
  }

  tags = {
    environment  = local.environment_tag[var.environment]
    service-name = var.service_name
    category     = "commerce"
    feature      = "checkout"
    channel      = "web"
  }
}
