variable "path" {
  type        = string
  description = "Path."
}

output "text" {
  description = "Content."
  value       = file(var.path)
}
