# at: infra/network/main.tf
terraform {
  backend "http" {}
}
