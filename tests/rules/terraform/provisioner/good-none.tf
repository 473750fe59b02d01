resource "terraform_data" "x" {
  input = var.service_name
}
