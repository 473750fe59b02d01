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

output "begins" {
  value     = startswith(aws_db_instance.main.password, "a")
  sensitive = "false"
}
