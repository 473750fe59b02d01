# allows: git::https://github.com/acme/
module "m" {
  source = "git::https://github.com/acme/m.git?ref=main&ref=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
}
