resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", values(aws_db_instance.main)[0]))
}
