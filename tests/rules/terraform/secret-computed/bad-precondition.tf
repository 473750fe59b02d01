resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = 1

  precondition {
    condition     = aws_db_instance.main.password == "a"
    error_message = "Not so."
  }
}
