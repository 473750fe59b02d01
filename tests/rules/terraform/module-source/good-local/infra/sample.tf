module "q" {
  source = "./modules/queue"
}
