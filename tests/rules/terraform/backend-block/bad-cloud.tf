# at: infra/network/main.tf
terraform {
  cloud {
    organization = "x"
  }
}
