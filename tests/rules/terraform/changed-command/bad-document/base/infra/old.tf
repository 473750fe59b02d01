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

resource "aws_ssm_document" "x" {
  name          = "x"
  document_type = "Command"
  content       = jsonencode({ runCommand = [var.command] })
}
