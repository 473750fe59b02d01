module "queue" {
  source = "git::https://modules.example.com/platform.git//queue"
}
