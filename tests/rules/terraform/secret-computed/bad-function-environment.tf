resource "aws_codebuild_project" "main" {
  name = "orders"
}

output "seen" {
  description = "Seen."
  value       = length(aws_codebuild_project.main.environment)
}
