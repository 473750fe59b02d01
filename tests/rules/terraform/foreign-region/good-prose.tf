variable "place" {
  type        = string
  description = "Where backups are; not us-east-1."
  default     = "sa-east-1"

  validation {
    condition     = !contains(["us-east-1", "eu-west-1"], var.place)
    error_message = "Neither us-east-1 nor eu-west-1."
  }
}

# Moved from us-east-1 years ago.
resource "aws_security_group" "main" {
  name        = "orders"
  description = "Once in us-east-1, of account 123456789012"
}

output "queue_url" {
  description = "Of the queue; the copy in us-east-1 is a follow-up."
  value       = aws_sqs_queue.orders.url
}
