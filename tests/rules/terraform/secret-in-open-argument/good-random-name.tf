# allows: hashicorp/random
resource "random_string" "suffix" {
  length = 8
}

resource "random_password" "login" {
  length = 32
}

resource "aws_db_subnet_group" "main" {
  name       = "orders-${random_string.suffix.result}"
  subnet_ids = ["a", "b"]
}

resource "aws_db_instance" "main" {
  identifier = "orders-${random_string.suffix.result}"
  password   = var.login == null ? random_password.login.result : var.login
}

variable "login" {
  type        = string
  description = "A password."
  sensitive   = true
  default     = null
}
