module "q" {
  source = "./modules/q"
  place  = "elsewhere"
}
