terraform {
  required_providers {
    amazon = {
      source = "hashicorp/aws"
    }
  }
}

provider "amazon" {
}

resource "aws_sqs_queue" "main" {
  provider = amazon
  name     = "orders"
}
