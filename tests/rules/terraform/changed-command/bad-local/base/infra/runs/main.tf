variable "command" {
  type        = string
  description = "A command."
}

resource "terraform_data" "x" {
  provisioner "local-exec" {
    command = var.command
  }
}
