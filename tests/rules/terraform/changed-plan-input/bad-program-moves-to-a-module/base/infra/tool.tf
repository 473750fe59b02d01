data "external" "tool" {
  program = local.command
}

locals {
  command = ["echo", "1"]
}
