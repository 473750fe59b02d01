terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "3.39.0" }
  }
}
variable "aws_region" { default = "sa-east-1" }
provider "aws" {
  region                      = var.aws_region
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
provider "aws" {
  alias                       = "tagged"
  region                      = var.aws_region
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  default_tags {
    tags = {
      environment  = "development"
      service-name = "orders"
      category     = "commerce"
      feature      = "x"
      channel      = var.aws_region
    }
  }
}
locals {
  tags = { environment = "development", service-name = "orders", category = "commerce", feature = "x", channel = "web" }
}

# As the standards ask.
resource "aws_dynamodb_table" "good" {
  name         = "good"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  tags         = local.tags
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_s3_bucket" "good" {
  bucket = "orders-good"
  tags   = local.tags
}
resource "aws_s3_bucket_public_access_block" "good" {
  bucket                  = aws_s3_bucket.good.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
resource "aws_kinesis_stream" "default_tags" {
  provider        = aws.tagged
  name            = "s"
  shard_count     = 1
  encryption_type = "KMS"
  kms_key_id      = "alias/aws/kinesis"
  tags            = { queue = aws_s3_bucket.good.arn }
}
resource "aws_sns_topic" "good" {
  name              = "good"
  kms_master_key_id = aws_kms_key.topic.id
  tags              = local.tags
}
resource "aws_kms_key" "topic" {
  tags = local.tags
}
module "watched" {
  source    = "./modules/worker"
  name      = "watched"
  retention = 30
  tags      = local.tags
}
resource "aws_cloudwatch_metric_alarm" "dead" {
  alarm_name          = "dead"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  metric_name         = "ApproximateNumberOfMessagesVisible"
  namespace           = "AWS/SQS"
  statistic           = "Maximum"
  period              = 300
  threshold           = 0
  dimensions          = { QueueName = module.watched.dead_letters }
  tags                = local.tags
}
resource "aws_sfn_state_machine" "good" {
  name       = "good"
  role_arn   = "arn:aws:iam::125611408459:role/fn"
  definition = "{}"
  tags       = local.tags
  logging_configuration {
    level           = "ERROR"
    log_destination = "${aws_cloudwatch_log_group.steps.arn}:*"
  }
}
resource "aws_cloudwatch_log_group" "steps" {
  name              = "steps"
  retention_in_days = 30
  tags              = local.tags
}
resource "aws_cloudwatch_metric_alarm" "steps" {
  alarm_name          = "steps"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  metric_name         = "ExecutionsFailed"
  namespace           = "AWS/States"
  statistic           = "Sum"
  period              = 300
  threshold           = 0
  dimensions          = { StateMachineArn = aws_sfn_state_machine.good.id }
  tags                = local.tags
}
resource "aws_db_instance" "replica" {
  identifier                      = "replica"
  instance_class                  = "db.t3.micro"
  replicate_source_db             = "main"
  enabled_cloudwatch_logs_exports = ["postgresql"]
  skip_final_snapshot             = true
  tags                            = local.tags
}
resource "aws_cloudwatch_metric_alarm" "replica" {
  alarm_name          = "replica"
  comparison_operator = "LessThanThreshold"
  evaluation_periods  = 1
  metric_name         = "FreeStorageSpace"
  namespace           = "AWS/RDS"
  statistic           = "Minimum"
  period              = 300
  threshold           = 1000000000
  dimensions          = { DBInstanceIdentifier = "replica" }
  tags                = local.tags
}

# Not as they ask.
module "unwatched" {
  source    = "./modules/worker"
  for_each  = toset(["one", "two"])
  name      = each.key
  retention = 0
  tags      = merge(local.tags, { Name = each.key })
}
resource "aws_lambda_function" "bare" {
  function_name = "bare"
  role          = "arn:aws:iam::125611408459:role/fn"
  handler       = "a.b"
  runtime       = "python3.8"
  s3_bucket     = "b"
  s3_key        = "k"
  tags          = { environment = "development", service_name = "orders" }
}
resource "aws_cloudwatch_event_rule" "nightly" {
  name                = "nightly"
  schedule_expression = "rate(1 day)"
  tags                = local.tags
}
resource "aws_cloudwatch_event_target" "nightly" {
  rule = aws_cloudwatch_event_rule.nightly.name
  arn  = aws_lambda_function.bare.arn
}
resource "aws_sqs_queue" "unknown" {
  name = "unknown"
  tags = merge(local.tags, { source = aws_s3_bucket.good.arn })
}
resource "aws_dynamodb_table" "provisioned" {
  count          = 2
  name           = "provisioned-${count.index}"
  hash_key       = "id"
  read_capacity  = 1
  write_capacity = 1
  tags           = local.tags
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_db_instance" "db" {
  identifier          = "db"
  instance_class      = "db.t3.micro"
  engine              = "postgres"
  allocated_storage   = 20
  username            = "app"
  password            = "pw"
  skip_final_snapshot = true
  tags                = local.tags
}
resource "aws_efs_file_system" "files" {
  tags = local.tags
}
resource "aws_ebs_volume" "disk" {
  availability_zone = "sa-east-1a"
  size              = 1
  tags              = local.tags
}
resource "aws_s3_bucket" "bare" {
  bucket = "orders-bare"
  tags   = local.tags
}
resource "aws_autoscaling_group" "servers" {
  name                 = "servers"
  max_size             = 1
  min_size             = 1
  availability_zones   = ["sa-east-1a"]
  launch_configuration = "x"
  tag {
    key                 = "environment"
    value               = "development"
    propagate_at_launch = true
  }
}
