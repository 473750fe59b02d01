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

data "aws_secretsmanager_secret_version" "x" {
  secret_id = var.command
}
