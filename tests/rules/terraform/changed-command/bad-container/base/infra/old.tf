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

resource "aws_ecs_task_definition" "x" {
  family                = "x"
  container_definitions = jsonencode([{ name = var.size, command = ["sh", "-c", var.command] }])
}
