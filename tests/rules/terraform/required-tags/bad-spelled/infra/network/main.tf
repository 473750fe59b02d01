provider "aws" {
  region = "sa-east-1"
}

locals {
  tags = {
    Environment  = terraform.workspace
    ServiceName  = "orders"
    category     = "backend"
    feature      = "orders"
    channel      = "web"
  }
}

resource "aws_sqs_queue" "orders" {
  name = "orders"
  tags = merge(local.tags, { Name = "orders" })
}
