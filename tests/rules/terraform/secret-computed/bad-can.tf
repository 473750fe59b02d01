resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = [for c in ["a", "b"] : c if can(regex("^${c}", aws_db_instance.main.password))]
}
