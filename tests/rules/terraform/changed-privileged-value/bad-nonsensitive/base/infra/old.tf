variable "command" {
  type        = string
  description = "A command."
  default     = "true"
}

variable "size" {
  type        = string
  description = "A size."
  default     = "t3.micro"
}

output "shown" {
  description = "A command."
  value       = nonsensitive(var.command)
}
