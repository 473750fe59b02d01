# at: infra/network/main.tf
terraform {
  backend "s3" {}
}
