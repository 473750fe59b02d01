resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

locals {
  word = aws_db_instance.main.password
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", local.word))
}
