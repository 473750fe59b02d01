variable "name" {
  description = "The queue's name."
  type        = string
}

resource "aws_sqs_queue" "this" {
  name                      = var.name
  message_retention_seconds = 345600
  kms_master_key_id         = "alias/aws/sqs"
}
