module "queue" {
  source = "example/queue/aws"
  size   = 2
}
