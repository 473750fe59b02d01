variable "stage" {
  description = "Where the account is."
  type        = string
}

output "profile" {
  description = "The profile of the stage."
  value       = "deploy-${var.stage}"
}
