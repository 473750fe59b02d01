# allows: git::https://github.com/acme/
module "m" {
  source = "git::https://github.com/acme/../stranger/m.git?ref=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
}
