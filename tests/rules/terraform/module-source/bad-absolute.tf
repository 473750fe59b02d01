module "x" {
  source = "/tmp/x"
}
