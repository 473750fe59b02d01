module "reader" {
  source = "${"./modules/reader"}"
  path   = "/proc/self/environ"
}
