module "x" {
  source = "./x.zip//y/../../../../z"
}
