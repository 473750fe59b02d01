resource "aws_vpn_connection" "main" {
  type = "ipsec.1"
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", aws_vpn_connection.main.customer_gateway_configuration))
}
