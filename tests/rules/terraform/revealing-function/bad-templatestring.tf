output "x" {
  value = templatestring(var.service_name, {})
}
