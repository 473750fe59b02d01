terraform {
  backend "s3" {
    bucket       = "acme-orders"
    key          = "orders"
    region       = "sa-east-1"
    encrypt      = true
    use_lockfile = true
  }
}
