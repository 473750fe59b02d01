output "content" {
  description = "What the file holds."
  value       = file("${path.module}/backend/dev/backend.hcl")
}
