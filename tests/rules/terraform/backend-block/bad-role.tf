# at: infra/live/dev/orders/main.tf
terraform {
  backend "s3" {
    bucket       = "acme-orders-dev"
    key          = "orders"
    region       = "sa-east-1"
    encrypt      = true
    use_lockfile = true
    assume_role {
      role_arn = "x"
    }
  }
}
