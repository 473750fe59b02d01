module "reader" {
  source = "./examples/reader"
  name   = "orders"
}
