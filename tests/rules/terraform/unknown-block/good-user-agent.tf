# at: infra/modules/q/versions.tf
terraform {
  provider_meta "aws" {
    user_agent = ["github.com/acme/orders"]
  }
}

moved {
  from = aws_sqs_queue.a
  to   = aws_sqs_queue.b
}
