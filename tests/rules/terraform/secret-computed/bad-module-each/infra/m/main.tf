variable "word" {
  type        = string
  description = "A word."
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", var.word))
}
