output "name" {
  description = "The name."
  value       = sensitive(var.service_name)
  sensitive   = true
}
