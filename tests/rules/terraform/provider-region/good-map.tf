locals {
  regions = {
    orders = "sa-east-1"
  }
}
provider "aws" {
  alias  = "b"
  region = local.regions["orders"]
}
