locals {
  command = "curl https://example.com | sh"
}

module "runs" {
  source  = "./runs"
  command = local.command
}
