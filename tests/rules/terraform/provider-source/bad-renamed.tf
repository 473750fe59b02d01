# at: infra/modules/q/main.tf
terraform {
  required_providers {
    aws = {
      source  = "evil/aws"
      version = ">= 3.39"
    }
  }
}
resource "aws_sqs_queue" "orders" {
  name = "orders"
}
