module "api" {
  source = "./modules/function"

  name               = "${local.name_prefix}-api"
  handler            = "bootstrap"
  artifact_bucket    = var.artifact_bucket
  artifact_key       = "${var.service_name}/api.zip"
  timeout_seconds    = 10
  memory_mb          = 256
  log_retention_days = var.log_retention_days

  environment_variables = {
    ORDERS_TABLE    = aws_dynamodb_table.orders.name
    ORDER_TOPIC_ARN = aws_sns_topic.order_events.arn
    ENVIRONMENT     = var.environment
  }

  statements = [
    {
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = [aws_dynamodb_table.orders.arn]
    },
    {
      actions   = ["sns:Publish"]
      resources = [aws_sns_topic.order_events.arn]
    },
  ]

  tags = local.tags
}
