variable "word" {
  type        = string
  sensitive   = true
  description = "A word."
  default     = ""
}

resource "aws_sqs_queue" "orders" {
  count = var.word != "" ? 1 : 0
  name  = "orders"
}
