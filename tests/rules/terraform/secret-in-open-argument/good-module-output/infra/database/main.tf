resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

output "login" {
  description = "All of it."
  value       = { host = aws_db_instance.main.address, word = aws_db_instance.main.password }
}
