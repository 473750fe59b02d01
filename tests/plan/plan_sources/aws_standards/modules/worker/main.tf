variable "name" {}
variable "tags" {}
variable "retention" {}
resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.retention
  tags              = var.tags
}
resource "aws_sqs_queue" "dead_letters" {
  name = "${var.name}-dead"
  tags = var.tags
}
resource "aws_sqs_queue" "work" {
  name           = var.name
  tags           = var.tags
  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letters.arn, maxReceiveCount = 3 })
}
resource "aws_lambda_function" "this" {
  function_name = var.name
  role          = "arn:aws:iam::125611408459:role/fn"
  handler       = "a.b"
  runtime       = "python3.8"
  s3_bucket     = "b"
  s3_key        = "k"
  tags          = var.tags
}
resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn = aws_sqs_queue.work.arn
  function_name    = aws_lambda_function.this.arn
}
output "dead_letters" {
  value = aws_sqs_queue.dead_letters.name
}
output "arn" {
  value = aws_lambda_function.this.arn
}
