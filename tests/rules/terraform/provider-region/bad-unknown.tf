variable "r" {
  type        = string
  description = "r"
}
provider "aws" {
  alias  = "b"
  region = var.r
}
