output "x" {
  value = "a${upper(nonsensitive(var.service_name))}"
}
