terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39"
    }
    dns = {
      source = "registry.acme.example/acme/dns"
    }
  }

  # Filled from backend/{environment}/backend.hcl at init.
  backend "s3" {}
}
