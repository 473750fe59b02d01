provider "aws" {
  region = "sa-east-1"
}

locals {
  tags = {
    environment  = terraform.workspace
    service-name = "orders"
    category     = "backend"
    feature      = "orders"
  }
}

resource "aws_sqs_queue" "orders" {
  name = "orders"
  tags = merge(local.tags, { Name = "orders" })
}
