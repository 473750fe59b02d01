resource "aws_db_instance" "main" {
  for_each       = toset(["name"])
  instance_class = "db.t3.micro"
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", values(aws_db_instance.main["name"])[0]))
}
