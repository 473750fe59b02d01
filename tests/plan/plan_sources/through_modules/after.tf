module "topic" {
  source   = "./modules/topic"
  for_each = toset(["orders"])
}

module "outer" {
  source = "./modules/outer"
  from   = { id = module.topic["orders"].id, note = "x" }
}

resource "terraform_data" "last" {
  input = module.outer.read
}

resource "terraform_data" "alone" {
  input = module.topic["orders"].note
}
