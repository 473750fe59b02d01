# allows: hashicorp/tls
data "tls_certificate" "x" {
  url = "https://${var.service_name}.example.com"
}
