variable "path" {
  type        = string
  description = "A file."
}

output "content" {
  description = "What it holds."
  value       = file(var.path)
}
