# Every accepted order is announced here; other services subscribe with queues of their own.
resource "aws_sns_topic" "order_events" {
  name              = "${local.name_prefix}-order-events"
  kms_master_key_id = "alias/aws/sns"

  tags = local.tags
}
