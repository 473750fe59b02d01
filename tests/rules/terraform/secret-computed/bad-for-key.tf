resource "aws_db_instance" "main" {
  for_each       = toset(["a"])
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = [for name, one in aws_db_instance.main : name if one.password == "a"]
}
