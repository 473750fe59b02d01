provider "aws" {
  region = "sa-east-1"
}

locals {
  tags = {
  }
}

resource "aws_sqs_queue" "orders" {
  name = "orders"
  tags = var.tags
}

variable "tags" {
  type        = map(string)
  description = "Tags."
  default     = { environment = "x" }
}
