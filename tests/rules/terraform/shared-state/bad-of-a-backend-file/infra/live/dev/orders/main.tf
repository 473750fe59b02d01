terraform {
  backend "s3" {
    bucket       = "acme-prod-state"
    key          = "orders"
    region       = "sa-east-1"
    encrypt      = true
    use_lockfile = true
  }
}
