# allows: hashicorp/tls
locals {
  issuer = "https://${var.service_name}.example.com"
}

data "tls_certificate" "x" {
  url = local.issuer
}
