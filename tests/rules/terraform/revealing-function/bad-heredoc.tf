output "x" {
  value = <<-EOT
    ${nonsensitive(var.service_name)}
  EOT
}
