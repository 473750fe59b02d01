# at: infra/network/main.tf
terraform {
  backend "s3" {
    shared_config_files = ["x"]
  }
}
