variable "word" {
  type        = string
  sensitive   = true
  description = "A word."
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", var.word))
}
