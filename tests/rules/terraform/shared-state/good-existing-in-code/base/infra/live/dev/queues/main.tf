terraform {
  backend "s3" {
    bucket       = "acme-dev"
    key          = "same"
    region       = "sa-east-1"
    encrypt      = true
    use_lockfile = true
  }
}
