output "x" {
  value = nonsensitive(var.service_name)
}
