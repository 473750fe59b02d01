# at: infra/live/qa/orders/main.tf
terraform {
  backend "s3" {
    bucket       = "acme-orders-qa"
    key          = "orders"
    region       = "sa-east-1"
    encrypt      = true
    use_lockfile = true
  }
}
