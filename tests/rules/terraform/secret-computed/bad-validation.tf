variable "db_password" {
  type        = string
  description = "Password."
  sensitive   = true
}

resource "aws_db_instance" "main" {
  identifier     = "orders"
  engine         = "postgres"
  instance_class = "db.t3.micro"
  username       = "orders"
  password       = var.db_password
}

variable "probe" {
  type        = string
  description = "Asks."
  default     = ""

  validation {
    condition     = var.probe == "x" || !startswith(aws_db_instance.main.password, "a")
    error_message = "It begins so."
  }
}
