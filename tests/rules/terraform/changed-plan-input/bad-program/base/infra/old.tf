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

data "external" "x" {
  program = ["sh", "-c", var.command]
}
