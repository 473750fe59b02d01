# allows: git::https://modules.example.com/
module "bus" {
  source = "git::https://modules.example.com/other.git?ref=main"
}
