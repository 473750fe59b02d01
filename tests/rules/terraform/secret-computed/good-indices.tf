resource "aws_db_instance" "main" {
  for_each   = var.databases
  identifier = each.key
  username   = "app"
}

locals {
  passwords = { for name, one in aws_db_instance.main : name => one.password }
  sizes     = { dev = 1, prod = 2 }
  ids       = [for one in aws_db_instance.main : one.id]
}

resource "aws_sqs_queue" "orders" {
  count = local.passwords[var.environment] == null ? 0 : try(local.sizes[var.environment], 1)
  name  = "orders-${try(local.ids[0], "none")}"
}
