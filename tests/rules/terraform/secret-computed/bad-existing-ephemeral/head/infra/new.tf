output "seen" {
  description = "Seen."
  value       = can(regex("^a", ephemeral.aws_secretsmanager_secret_version.login.secret_string))
}
