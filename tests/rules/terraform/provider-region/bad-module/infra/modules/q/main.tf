variable "place" {
  type        = string
  description = "p"
}
provider "aws" {
  region = var.place
}
