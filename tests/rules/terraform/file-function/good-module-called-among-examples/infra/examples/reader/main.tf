variable "name" {
  type        = string
  description = "Name."
}

output "name" {
  description = "Name."
  value       = upper(var.name)
}
