# Orders wait here for billing: topic -> queue -> billing, and what billing cannot process -> dead letters.
resource "aws_sqs_queue" "billing_dead_letters" {
  name                      = "${local.name_prefix}-billing-dead-letters"
  message_retention_seconds = var.dead_letter_retention_seconds

  tags = local.tags
}

resource "aws_sqs_queue" "billing" {
  name                       = "${local.name_prefix}-billing"
  message_retention_seconds  = var.billing_retention_seconds
  visibility_timeout_seconds = var.billing_visibility_seconds

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.billing_dead_letters.arn
    maxReceiveCount     = var.billing_max_receive_count
  })

  tags = local.tags
}

data "aws_iam_policy_document" "billing_queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.billing.arn]

    principals {
      type        = "Service"
      identifiers = ["sns.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_sns_topic.order_events.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "billing" {
  queue_url = aws_sqs_queue.billing.id
  policy    = data.aws_iam_policy_document.billing_queue.json
}

resource "aws_sns_topic_subscription" "billing" {
  topic_arn            = aws_sns_topic.order_events.arn
  protocol             = "sqs"
  endpoint = aws_sqs_queue.billing.arn
  raw_message_delivery = true
}

resource "aws_cloudwatch_metric_alarm" "billing_dead_letters" {
  alarm_name          = "${local.name_prefix}-billing-dead-letters"
  alarm_description   = "Billing could not process a message; it waits in the dead-letter queue."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]

  dimensions = {
    QueueName = aws_sqs_queue.billing_dead_letters.name
  }

  tags = local.tags
}
