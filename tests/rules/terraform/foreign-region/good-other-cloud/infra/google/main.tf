# allows: hashicorp/google
terraform {
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

provider "google" {
  project = "projects-123456789012"
  region  = "europe-west1"
}

data "google_project" "main" {
  project_id = "123456789012"
}

resource "google_storage_bucket" "files" {
  name          = "files-us-east-1"
  location      = "EU"
  force_destroy = false
}

locals {
  number = "123456789012"
}
