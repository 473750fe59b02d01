# allows: git::https://modules.example.com/
module "queue" {
  source = "git::https://modules.example.com/platform.git//queue?ref=v1.2.0"
}
