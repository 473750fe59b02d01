# at: infra/modules/q/versions.tf
terraform {
  required_providers {
    aws = {
      source  = "hashic0rp/aws"
      version = ">= 3.39"
    }
  }
}
