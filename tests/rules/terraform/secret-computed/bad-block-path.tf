resource "aws_opensearch_domain" "main" {
  domain_name = "orders"
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", aws_opensearch_domain.main.advanced_security_options[0].master_user_options[0].master_user_password))
}
