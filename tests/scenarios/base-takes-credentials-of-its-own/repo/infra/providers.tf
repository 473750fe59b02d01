provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
  access_key          = var.key_id
  secret_key          = var.secret
}

variable "key_id" {
  description = "Key of the pipeline's user."
  type        = string
}

variable "secret" {
  description = "Secret of the pipeline's user."
  type        = string
  sensitive   = true
}
