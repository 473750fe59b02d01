variable "password" {
  sensitive = true
  default   = "hunter2-Quartz-Vapor-91"
}
resource "terraform_data" "a" {
  input = { password = var.password, shown = "plain" }
}
output "laundered" {
  value = nonsensitive(var.password)
}
