locals {
  size = {
    dev  = "development"
    prod = "production"
  }
}
