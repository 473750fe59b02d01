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

import {
  to = aws_sqs_queue.x
  id = var.command
}

resource "aws_sqs_queue" "x" {
  name = "x"
}
