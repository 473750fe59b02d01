module "other" {
  source = "./reader"
  path   = "/proc/self/environ"
}
