resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = try(regex("^a", aws_db_instance.main.password), "no")
}
