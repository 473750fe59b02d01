resource "aws_something_of_tomorrow" "main" {
  name = "orders"
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", aws_something_of_tomorrow.main.login_password))
}
