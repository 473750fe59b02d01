resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = { a = 1 }[substr(aws_db_instance.main.password, 0, 1)]
}
