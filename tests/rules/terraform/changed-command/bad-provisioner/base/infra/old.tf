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

resource "aws_instance" "x" {
  instance_type = var.size

  provisioner "remote-exec" {
    inline = [var.command]
  }
}
