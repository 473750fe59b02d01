module "tool" {
  source = "./modules/tool"
}
