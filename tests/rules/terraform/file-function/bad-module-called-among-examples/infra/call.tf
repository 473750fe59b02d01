module "reader" {
  source = "./examples/reader"
  path   = "/proc/self/environ"
}
