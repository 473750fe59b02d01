locals {
  command = "true"
}

module "runs" {
  source  = "./runs"
  command = local.command
}
