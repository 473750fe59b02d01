variable "from" {
  type = object({ id = string, note = string })
}

module "reader" {
  source = "../reader"
  from   = var.from.id
}

output "read" {
  value = module.reader.read
}
