resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

variable "guess" {
  type        = string
  description = "A guess."
  default     = "a"
}

output "same" {
  description = "Whether it is."
  value       = aws_db_instance.main.password == var.guess
}
