terraform {
  required_version = ">= 1.5"
  backend "s3" {}
}

variable "environment" {
  type        = string
  description = "dev or prod."
}
