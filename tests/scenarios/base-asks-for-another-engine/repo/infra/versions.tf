terraform {
  required_version = "~> 1.10.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 3.39"
    }
  }

  # Filled from backend/{environment}/backend.hcl at init.
  backend "s3" {}
}
