provider "aws" {
  region = "sa-east-1"
}

variable "account" {
  type        = string
  description = "An account."
}
