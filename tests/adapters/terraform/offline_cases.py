# ruff: noqa: E501, ISC004  a case is one line, however long
"""Changes of one argument each, for the agreement of the offline plan with a real one: `@old|new@` in a resource's body.

`helpers` exist on both sides. An empty side of a mark leaves the text out there.
"""

from __future__ import annotations

import re
from collections.abc import Collection

HELPERS = """
resource "aws_vpc" "h" {
  cidr_block = "10.0.0.0/16"
}
resource "aws_subnet" "h" {
  vpc_id            = aws_vpc.h.id
  cidr_block        = "10.0.1.0/24"
  availability_zone = "sa-east-1a"
}
resource "aws_subnet" "i" {
  vpc_id            = aws_vpc.h.id
  cidr_block        = "10.0.2.0/24"
  availability_zone = "sa-east-1b"
}
resource "aws_security_group" "h" {
  name   = "h"
  vpc_id = aws_vpc.h.id
}
resource "aws_iam_role" "h" {
  name               = "h"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }] })
}
resource "aws_iam_role" "i" {
  name               = "i"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }] })
}
resource "aws_iam_policy" "h" {
  name   = "hh"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sqs:*", Resource = "*" }] })
}
resource "aws_iam_policy" "i" {
  name   = "hi"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sqs:*", Resource = "*" }] })
}
resource "aws_sqs_queue" "h" {
  name = "h"
}
resource "aws_sns_topic" "h" {
  name = "h"
}
resource "aws_sns_topic" "i" {
  name = "i"
}
resource "aws_kms_key" "h" {
}
resource "aws_s3_bucket" "h" {
  bucket = "offline-h"
}
resource "aws_s3_bucket_object" "code" {
  bucket         = aws_s3_bucket.h.id
  key            = "code.zip"
  content_base64 = "UEsDBBQAAAAAAAAAIVCufZpjEQAAABEAAAAEAAAAYS5weWRlZiBiKGUsYyk6IHBhc3MKUEsBAhQDFAAAAAAAAAAhUK59mmMRAAAAEQAAAAQAAAAAAAAAAAAAAIABAAAAAGEucHlQSwUGAAAAAAEAAQAyAAAAMwAAAAAA"
}
resource "aws_s3_bucket" "i" {
  bucket = "offline-i"
}
resource "aws_ecs_cluster" "h" {
  name = "h"
}
resource "aws_cloudwatch_log_group" "h" {
  name = "h"
}
resource "aws_cognito_user_pool" "h" {
  name = "h"
}
resource "aws_api_gateway_rest_api" "h" {
  name = "h"
}
resource "aws_apigatewayv2_api" "h" {
  name          = "h"
  protocol_type = "HTTP"
}
resource "aws_iam_user" "h" {
  name = "h"
}
resource "aws_iam_group" "h" {
  name = "h"
}
resource "aws_cloudwatch_event_rule" "h" {
  name                = "h"
  schedule_expression = "rate(5 minutes)"
}
resource "aws_internet_gateway" "h" {
  vpc_id = aws_vpc.h.id
}
resource "aws_route_table" "h" {
  vpc_id = aws_vpc.h.id
}
resource "aws_dynamodb_table" "h" {
  name         = "hhh"
  hash_key     = "id"
  billing_mode = "PAY_PER_REQUEST"
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_secretsmanager_secret" "h" {
  name = "h"
}
resource "aws_lambda_function" "h" {
  function_name = "h"
  role          = aws_iam_role.h.arn
  handler       = "a.b"
  runtime       = "python3.8"
  s3_bucket     = aws_s3_bucket_object.code.bucket
  s3_key        = "code.zip"
}
resource "aws_route53_zone" "h" {
  name = "h.example."
}
resource "aws_ecr_repository" "h" {
  name = "hhh"
}
resource "aws_lb" "h" {
  name               = "h"
  internal           = true
  load_balancer_type = "application"
  subnets            = [aws_subnet.h.id, aws_subnet.i.id]
}
resource "aws_lb_target_group" "h" {
  name     = "h"
  port     = 80
  protocol = "HTTP"
  vpc_id   = aws_vpc.h.id
}
resource "aws_efs_file_system" "h" {
  creation_token = "h"
}
resource "aws_launch_template" "h" {
  name          = "hhh"
  image_id      = "ami-12345678"
  instance_type = "t3.micro"
}
"""

_TABLE = (
    'hash_key = "id"\nbilling_mode = "@PAY_PER_REQUEST|PAY_PER_REQUEST@"\nattribute {\n  name = "id"\n  type = "S"\n}\n'
)
_ROLE = 'assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "@lambda|ec2@.amazonaws.com" } }] })'
_DOCUMENT = 'jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sqs:@SendMessage|*@", Resource = "*" }] })'

CASES: tuple[tuple[str, str], ...] = (
    ("aws_sqs_queue", 'name = "q1@|-new@"'),
    ("aws_sqs_queue", 'name = "q2"\ndelay_seconds = @0|5@'),
    ("aws_sqs_queue", 'name = "q3@|.fifo@"\n@|fifo_queue = true@'),
    (
        "aws_sqs_queue",
        'name = "q4"\n@|redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.h.arn, maxReceiveCount = 3 })@',
    ),
    ("aws_sqs_queue", 'name = "q5"\ntags = { a = "@1|2@" }'),
    ("aws_sqs_queue", 'name = "q6"\n@|kms_master_key_id = aws_kms_key.h.arn@'),
    ("aws_sqs_queue", 'name = "q7.fifo"\nfifo_queue = true\n@|content_based_deduplication = true@'),
    ("aws_sqs_queue_policy", "queue_url = aws_sqs_queue.h.id\npolicy = " + _DOCUMENT),
    ("aws_sns_topic", 'name = "t1@|-new@"'),
    ("aws_sns_topic", 'name = "t2"\n@|display_name = "x"@'),
    ("aws_sns_topic", 'name = "t3"\n@|kms_master_key_id = aws_kms_key.h.id@'),
    (
        "aws_sns_topic_subscription",
        'topic_arn = aws_sns_topic.@h|i@.arn\nprotocol = "sqs"\nendpoint = aws_sqs_queue.h.arn',
    ),
    (
        "aws_sns_topic_subscription",
        'topic_arn = aws_sns_topic.h.arn\nprotocol = "sqs"\nendpoint = aws_sqs_queue.h.arn\nraw_message_delivery = @false|true@',
    ),
    ("aws_dynamodb_table", 'name = "ddd1@|-new@"\n' + _TABLE),
    (
        "aws_dynamodb_table",
        'name = "ddd2"\nhash_key = "@id|key@"\nbilling_mode = "PAY_PER_REQUEST"\nattribute {\n  name = "@id|key@"\n  type = "S"\n}',
    ),
    ("aws_dynamodb_table", 'name = "ddd3"\n' + _TABLE + "point_in_time_recovery {\n  enabled = @false|true@\n}"),
    (
        "aws_dynamodb_table",
        'name = "ddd4"\nhash_key = "id"\nbilling_mode = "PROVISIONED"\nread_capacity = @1|2@\nwrite_capacity = 1\nattribute {\n  name = "id"\n  type = "S"\n}',
    ),
    (
        "aws_dynamodb_table",
        'name = "ddd5"\n' + _TABLE + '@|range_key = "r"\nattribute {\n  name = "r"\n  type = "N"\n}@',
    ),
    ("aws_dynamodb_table", 'name = "ddd6"\n' + _TABLE + '@|stream_enabled = true\nstream_view_type = "NEW_IMAGE"@'),
    ("aws_s3_bucket", 'bucket = "offline-b1@|-new@"'),
    ("aws_s3_bucket", 'bucket = "offline-b2"\nversioning {\n  enabled = @false|true@\n}'),
    (
        "aws_s3_bucket",
        'bucket = "offline-b3"\n@|lifecycle_rule {\n  enabled = true\n  expiration {\n    days = 3\n  }\n}@',
    ),
    ("aws_s3_bucket", 'bucket = "offline-b4"\nforce_destroy = @false|true@'),
    ("aws_s3_bucket", 'bucket = "offline-b5"\ntags = { a = "@1|2@" }'),
    ("aws_s3_bucket_public_access_block", "bucket = aws_s3_bucket.@h|i@.id\nblock_public_acls = true"),
    (
        "aws_s3_bucket_policy",
        'bucket = aws_s3_bucket.h.id\npolicy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Deny", Principal = "*", Action = "s3:@GetObject|*@", Resource = aws_s3_bucket.h.arn }] })',
    ),
    ("aws_s3_bucket_object", 'bucket = aws_s3_bucket.h.id\nkey = "@a|b@"\ncontent = "x"'),
    ("aws_s3_bucket_object", 'bucket = aws_s3_bucket.h.id\nkey = "c"\ncontent = "@x|y@"'),
    (
        "aws_s3_bucket_notification",
        'bucket = aws_s3_bucket.h.id\nqueue {\n  queue_arn = aws_sqs_queue.h.arn\n  events = ["s3:ObjectCreated:@*|Put@"]\n}',
    ),
    ("aws_iam_role", 'name = "r1@|-new@"\n' + _ROLE.replace("@lambda|ec2@", "lambda")),
    ("aws_iam_role", 'name = "r2"\n' + _ROLE),
    ("aws_iam_role", 'name = "r3"\npath = "/@a|b@/"\n' + _ROLE.replace("@lambda|ec2@", "lambda")),
    ("aws_iam_role", 'name = "r4"\ndescription = "@a|b@"\n' + _ROLE.replace("@lambda|ec2@", "lambda")),
    ("aws_iam_role", 'name = "r5"\nmax_session_duration = @3600|7200@\n' + _ROLE.replace("@lambda|ec2@", "lambda")),
    (
        "aws_iam_role_policy",
        'name = "rp1@|-new@"\nrole = aws_iam_role.h.id\npolicy = ' + _DOCUMENT.replace("@SendMessage|*@", "*"),
    ),
    ("aws_iam_role_policy", 'name = "rp2"\nrole = aws_iam_role.h.id\npolicy = ' + _DOCUMENT),
    (
        "aws_iam_role_policy",
        'name = "rp3"\nrole = aws_iam_role.@h|i@.id\npolicy = ' + _DOCUMENT.replace("@SendMessage|*@", "*"),
    ),
    (
        "aws_iam_role_policy_attachment",
        "role = aws_iam_role.@h|i@.name\npolicy_arn = aws_iam_policy.h.arn",
    ),
    (
        "aws_iam_role_policy_attachment",
        "role = aws_iam_role.h.name\npolicy_arn = aws_iam_policy.@h|i@.arn",
    ),
    ("aws_iam_policy", 'name = "p1@|-new@"\npolicy = ' + _DOCUMENT.replace("@SendMessage|*@", "*")),
    ("aws_iam_policy", 'name = "p2"\npolicy = ' + _DOCUMENT),
    ("aws_iam_policy", 'name = "p3"\ndescription = "@a|b@"\npolicy = ' + _DOCUMENT.replace("@SendMessage|*@", "*")),
    ("aws_iam_user", 'name = "u1@|-new@"'),
    ("aws_iam_user", 'name = "u2"\nforce_destroy = @false|true@'),
    ("aws_iam_user_policy", 'name = "up1"\nuser = aws_iam_user.h.name\npolicy = ' + _DOCUMENT),
    ("aws_iam_group", 'name = "g1@|-new@"'),
    (
        "aws_iam_group_policy",
        'name = "gp@|-new@"\ngroup = aws_iam_group.h.name\npolicy = ' + _DOCUMENT.replace("@SendMessage|*@", "*"),
    ),
    ("aws_iam_group_membership", 'name = "gm@|-new@"\ngroup = aws_iam_group.h.name\nusers = [aws_iam_user.h.name]'),
    ("aws_iam_instance_profile", 'name = "ip@|-new@"\nrole = aws_iam_role.h.name'),
    ("aws_iam_instance_profile", 'name = "ip2"\nrole = aws_iam_role.@h|i@.name'),
    ("aws_kms_key", 'description = "@a|b@"'),
    ("aws_kms_key", "deletion_window_in_days = @7|30@"),
    ("aws_kms_key", 'customer_master_key_spec = "@SYMMETRIC_DEFAULT|RSA_2048@"'),
    ("aws_kms_alias", 'name = "alias/@a|b@"\ntarget_key_id = aws_kms_key.h.key_id'),
    ("aws_cloudwatch_log_group", 'name = "l1@|-new@"'),
    ("aws_cloudwatch_log_group", 'name = "l2"\nretention_in_days = @7|30@'),
    ("aws_cloudwatch_log_group", 'name = "l3"\n@kms_key_id = aws_kms_key.h.arn|@'),
    ("aws_cloudwatch_log_stream", 'name = "ls@|-new@"\nlog_group_name = aws_cloudwatch_log_group.h.name'),
    (
        "aws_cloudwatch_log_metric_filter",
        'name = "mf"\npattern = "@a|b@"\nlog_group_name = aws_cloudwatch_log_group.h.name\nmetric_transformation {\n  name = "m"\n  namespace = "n"\n  value = "1"\n}',
    ),
    (
        "aws_cloudwatch_metric_alarm",
        'alarm_name = "a1@|-new@"\ncomparison_operator = "GreaterThanThreshold"\nevaluation_periods = 1\nmetric_name = "m"\nnamespace = "n"\nperiod = 60\nstatistic = "Sum"\nthreshold = 1',
    ),
    (
        "aws_cloudwatch_metric_alarm",
        'alarm_name = "a2"\ncomparison_operator = "GreaterThanThreshold"\nevaluation_periods = 1\nmetric_name = "m"\nnamespace = "n"\nperiod = 60\nstatistic = "Sum"\nthreshold = @1|2@\nalarm_actions = [aws_sns_topic.h.arn]',
    ),
    ("aws_cloudwatch_dashboard", 'dashboard_name = "db@|-new@"\ndashboard_body = jsonencode({ widgets = [] })'),
    ("aws_cloudwatch_event_rule", 'name = "e1@|-new@"\nschedule_expression = "rate(5 minutes)"'),
    ("aws_cloudwatch_event_rule", 'name = "e2"\nschedule_expression = "rate(@5|10@ minutes)"'),
    (
        "aws_cloudwatch_event_target",
        'rule = aws_cloudwatch_event_rule.h.name\ntarget_id = "@a|b@"\narn = aws_sqs_queue.h.arn',
    ),
    (
        "aws_cloudwatch_event_target",
        'rule = aws_cloudwatch_event_rule.h.name\ntarget_id = "c"\narn = aws_sqs_queue.h.arn\ninput = jsonencode({ a = @1|2@ })',
    ),
    ("aws_cloudwatch_event_bus", 'name = "b1@|-new@"'),
    ("aws_vpc", 'cidr_block = "10.@1|2@.0.0/16"'),
    ("aws_vpc", 'cidr_block = "10.3.0.0/16"\nenable_dns_hostnames = @false|true@'),
    ("aws_vpc", 'cidr_block = "10.4.0.0/16"\ninstance_tenancy = "@default|dedicated@"'),
    ("aws_subnet", 'vpc_id = aws_vpc.h.id\ncidr_block = "10.0.@11|12@.0/24"'),
    ("aws_subnet", 'vpc_id = aws_vpc.h.id\ncidr_block = "10.0.13.0/24"\navailability_zone = "sa-east-1@a|b@"'),
    ("aws_subnet", 'vpc_id = aws_vpc.h.id\ncidr_block = "10.0.14.0/24"\nmap_public_ip_on_launch = @false|true@'),
    ("aws_security_group", 'name = "sg1@|-new@"\nvpc_id = aws_vpc.h.id'),
    ("aws_security_group", 'name = "sg2"\nvpc_id = aws_vpc.h.id\ndescription = "@a|b@"'),
    (
        "aws_security_group",
        'name = "sg3"\nvpc_id = aws_vpc.h.id\ningress {\n  from_port = @80|443@\n  to_port = @80|443@\n  protocol = "tcp"\n  cidr_blocks = ["10.0.0.0/8"]\n}',
    ),
    (
        "aws_security_group_rule",
        'type = "ingress"\nsecurity_group_id = aws_security_group.h.id\nfrom_port = @80|443@\nto_port = @80|443@\nprotocol = "tcp"\ncidr_blocks = ["10.0.0.0/8"]',
    ),
    (
        "aws_security_group_rule",
        'type = "egress"\nsecurity_group_id = aws_security_group.h.id\nfrom_port = 1\nto_port = 2\nprotocol = "tcp"\ncidr_blocks = ["10.0.0.0/8"]\ndescription = "@a|b@"',
    ),
    ("aws_internet_gateway", 'tags = { a = "@1|2@" }'),
    ("aws_route_table", 'vpc_id = aws_vpc.h.id\ntags = { a = "@1|2@" }'),
    (
        "aws_route",
        'route_table_id = aws_route_table.h.id\ndestination_cidr_block = "10.@8|9@.0.0/16"\ngateway_id = aws_internet_gateway.h.id',
    ),
    ("aws_route_table_association", "route_table_id = aws_route_table.h.id\nsubnet_id = aws_subnet.@h|i@.id"),
    ("aws_eip", 'vpc = true\ntags = { a = "@1|2@" }'),
    ("aws_network_acl", 'vpc_id = aws_vpc.h.id\ntags = { a = "@1|2@" }'),
    ("aws_vpc_endpoint", 'vpc_id = aws_vpc.h.id\nservice_name = "com.amazonaws.sa-east-1.@s3|dynamodb@"'),
    (
        "aws_flow_log",
        'vpc_id = aws_vpc.h.id\ntraffic_type = "@ALL|REJECT@"\nlog_destination = aws_s3_bucket.h.arn\nlog_destination_type = "s3"',
    ),
    ("aws_instance", 'ami = "ami-12345678"\ninstance_type = "t3.@micro|small@"\nsubnet_id = aws_subnet.h.id'),
    ("aws_instance", 'ami = "ami-@12345678|87654321@"\ninstance_type = "t3.micro"\nsubnet_id = aws_subnet.h.id'),
    ("aws_ebs_volume", 'availability_zone = "sa-east-1@a|b@"\nsize = 8'),
    ("aws_ebs_volume", 'availability_zone = "sa-east-1a"\nsize = @8|9@'),
    ("aws_launch_template", 'name = "ltt@|-new@"'),
    ("aws_launch_template", 'name = "ltt2"\ninstance_type = "t3.@micro|small@"'),
    (
        "aws_autoscaling_group",
        'name = "asg1@|-new@"\nmin_size = 0\nmax_size = 1\nvpc_zone_identifier = [aws_subnet.h.id]\nlaunch_template {\n  id = aws_launch_template.h.id\n  version = "1"\n}',
    ),
    (
        "aws_autoscaling_group",
        'name = "asg2"\nmin_size = 0\nmax_size = @1|2@\nvpc_zone_identifier = [aws_subnet.h.id]\nlaunch_template {\n  id = aws_launch_template.h.id\n  version = "1"\n}',
    ),
    ("aws_lb", 'name = "lb1@|-new@"\ninternal = true\nsubnets = [aws_subnet.h.id, aws_subnet.i.id]'),
    ("aws_lb", 'name = "lb2"\ninternal = @true|false@\nsubnets = [aws_subnet.h.id, aws_subnet.i.id]'),
    ("aws_lb", 'name = "lb3"\ninternal = true\nsubnets = [aws_subnet.h.id, aws_subnet.i.id]\nidle_timeout = @60|90@'),
    ("aws_lb_target_group", 'name = "tg1"\nport = @80|8080@\nprotocol = "HTTP"\nvpc_id = aws_vpc.h.id'),
    (
        "aws_lb_target_group",
        'name = "tg2"\nport = 80\nprotocol = "HTTP"\nvpc_id = aws_vpc.h.id\nderegistration_delay = @300|30@',
    ),
    (
        "aws_lb_listener",
        'load_balancer_arn = aws_lb.h.arn\nport = @80|8080@\nprotocol = "HTTP"\ndefault_action {\n  type = "forward"\n  target_group_arn = aws_lb_target_group.h.arn\n}',
    ),
    ("aws_ecs_cluster", 'name = "c1@|-new@"'),
    ("aws_ecs_cluster", 'name = "c2"\nsetting {\n  name = "containerInsights"\n  value = "@disabled|enabled@"\n}'),
    (
        "aws_ecs_task_definition",
        'family = "td"\ncontainer_definitions = jsonencode([{ name = "a", image = "a:@1|2@", memory = 128 }])',
    ),
    (
        "aws_ecs_task_definition",
        'family = "td2@|-new@"\ncontainer_definitions = jsonencode([{ name = "a", image = "a:1", memory = 128 }])',
    ),
    ("aws_ecr_repository", 'name = "ecr1@|-new@"'),
    ("aws_ecr_repository", 'name = "ecr2"\nimage_tag_mutability = "@MUTABLE|IMMUTABLE@"'),
    (
        "aws_ecr_repository_policy",
        'repository = aws_ecr_repository.h.name\npolicy = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "a", Effect = "Allow", Principal = "*", Action = "ecr:@ListImages|*@" }] })',
    ),
    (
        "aws_ecr_lifecycle_policy",
        'repository = aws_ecr_repository.h.name\npolicy = jsonencode({ rules = [{ rulePriority = 1, selection = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = @5|9@ }, action = { type = "expire" } }] })',
    ),
    (
        "aws_lambda_function",
        'function_name = "f1@|-new@"\nrole = aws_iam_role.h.arn\nhandler = "a.b"\nruntime = "python3.8"\ns3_bucket = aws_s3_bucket_object.code.bucket\ns3_key = "code.zip"',
    ),
    (
        "aws_lambda_function",
        'function_name = "f2"\nrole = aws_iam_role.h.arn\nhandler = "a.b"\nruntime = "python3.8"\ns3_bucket = aws_s3_bucket_object.code.bucket\ns3_key = "code.zip"\ntimeout = @3|9@',
    ),
    (
        "aws_lambda_function",
        'function_name = "f3"\nrole = aws_iam_role.@h|i@.arn\nhandler = "a.b"\nruntime = "python3.8"\ns3_bucket = aws_s3_bucket_object.code.bucket\ns3_key = "code.zip"',
    ),
    (
        "aws_lambda_permission",
        'statement_id = "@a|b@"\naction = "lambda:InvokeFunction"\nfunction_name = aws_lambda_function.h.function_name\nprincipal = "events.amazonaws.com"',
    ),
    ("aws_lambda_alias", 'name = "al@|-new@"\nfunction_name = aws_lambda_function.h.arn\nfunction_version = "$LATEST"'),
    (
        "aws_lambda_event_source_mapping",
        "event_source_arn = aws_sqs_queue.h.arn\nfunction_name = aws_lambda_function.h.arn\nbatch_size = @1|5@",
    ),
    ("aws_secretsmanager_secret", 'name = "s1@|-new@"'),
    ("aws_secretsmanager_secret", 'name = "s2"\ndescription = "@a|b@"'),
    ("aws_secretsmanager_secret_version", 'secret_id = aws_secretsmanager_secret.h.id\nsecret_string = "@a|b@"'),
    ("aws_ssm_parameter", 'name = "/p1@|-new@"\ntype = "String"\nvalue = "x"'),
    ("aws_ssm_parameter", 'name = "/p2"\ntype = "String"\nvalue = "@x|y@"'),
    ("aws_ssm_parameter", 'name = "/p3"\ntype = "@String|SecureString@"\nvalue = "x"'),
    (
        "aws_ssm_document",
        'name = "doc@|-new@"\ndocument_type = "Command"\ncontent = jsonencode({ schemaVersion = "1.2", description = "x", parameters = {}, runtimeConfig = {} })',
    ),
    ("aws_kinesis_stream", 'name = "k1@|-new@"\nshard_count = 1'),
    ("aws_kinesis_stream", 'name = "k2"\nshard_count = @1|2@'),
    (
        "aws_kinesis_firehose_delivery_stream",
        'name = "fh@|-new@"\ndestination = "extended_s3"\nextended_s3_configuration {\n  role_arn = aws_iam_role.h.arn\n  bucket_arn = aws_s3_bucket.h.arn\n}',
    ),
    (
        "aws_sfn_state_machine",
        'name = "sm1@|-new@"\nrole_arn = aws_iam_role.h.arn\ndefinition = jsonencode({ StartAt = "a", States = { a = { Type = "Pass", End = true } } })',
    ),
    (
        "aws_sfn_state_machine",
        'name = "sm2"\nrole_arn = aws_iam_role.h.arn\ndefinition = jsonencode({ StartAt = "@a|b@", States = { "@a|b@" = { Type = "Pass", End = true } } })',
    ),
    ("aws_sfn_activity", 'name = "act@|-new@"'),
    ("aws_cognito_user_pool", 'name = "up1@|-new@"'),
    ("aws_cognito_user_pool", 'name = "up2"\nusername_attributes = ["@email|phone_number@"]'),
    (
        "aws_cognito_user_pool",
        'name = "up3"\nmfa_configuration = "@OFF|OPTIONAL@"\nsoftware_token_mfa_configuration {\n  enabled = true\n}',
    ),
    ("aws_cognito_user_pool_client", 'name = "upc@|-new@"\nuser_pool_id = aws_cognito_user_pool.h.id'),
    (
        "aws_cognito_user_pool_client",
        'name = "upc2"\nuser_pool_id = aws_cognito_user_pool.h.id\ngenerate_secret = @false|true@',
    ),
    ("aws_cognito_user_group", 'name = "ug@|-new@"\nuser_pool_id = aws_cognito_user_pool.h.id'),
    ("aws_cognito_identity_pool", 'identity_pool_name = "idp@|new@"\nallow_unauthenticated_identities = false'),
    ("aws_cognito_resource_server", 'identifier = "rs@|-new@"\nname = "rs"\nuser_pool_id = aws_cognito_user_pool.h.id'),
    ("aws_api_gateway_rest_api", 'name = "api@|-new@"'),
    (
        "aws_api_gateway_resource",
        'rest_api_id = aws_api_gateway_rest_api.h.id\nparent_id = aws_api_gateway_rest_api.h.root_resource_id\npath_part = "@a|b@"',
    ),
    (
        "aws_api_gateway_method",
        'rest_api_id = aws_api_gateway_rest_api.h.id\nresource_id = aws_api_gateway_rest_api.h.root_resource_id\nhttp_method = "@GET|POST@"\nauthorization = "NONE"',
    ),
    ("aws_api_gateway_api_key", 'name = "ak@|-new@"'),
    ("aws_api_gateway_usage_plan", 'name = "upl@|-new@"'),
    ("aws_apigatewayv2_api", 'name = "api2@|-new@"\nprotocol_type = "HTTP"'),
    (
        "aws_apigatewayv2_api",
        'name = "api3"\nprotocol_type = "@HTTP|WEBSOCKET@"\nroute_selection_expression = "$request.@method $request.path|body.action@"',
    ),
    ("aws_apigatewayv2_route", 'api_id = aws_apigatewayv2_api.h.id\nroute_key = "GET /@a|b@"'),
    ("aws_apigatewayv2_stage", 'api_id = aws_apigatewayv2_api.h.id\nname = "st@|new@"'),
    ("aws_route53_zone", 'name = "@z1|z2@.example."'),
    ("aws_route53_zone", 'name = "z3.example."\ncomment = "@a|b@"'),
    (
        "aws_route53_record",
        'zone_id = aws_route53_zone.h.zone_id\nname = "@a|b@.h.example"\ntype = "A"\nttl = 60\nrecords = ["10.0.0.1"]',
    ),
    (
        "aws_route53_record",
        'zone_id = aws_route53_zone.h.zone_id\nname = "c.h.example"\ntype = "A"\nttl = @60|90@\nrecords = ["10.0.0.1"]',
    ),
    ("aws_route53_health_check", 'type = "HTTP"\nfqdn = "@a|b@.example"\nport = 80'),
    ("aws_acm_certificate", 'domain_name = "@a|b@.example"\nvalidation_method = "DNS"'),
    ("aws_efs_file_system", 'creation_token = "@a|b@"'),
    ("aws_efs_file_system", 'creation_token = "c"\nencrypted = @false|true@'),
    (
        "aws_efs_file_system",
        'creation_token = "d"\nthroughput_mode = "@bursting|provisioned@"\n@|provisioned_throughput_in_mibps = 1@',
    ),
    ("aws_efs_mount_target", "file_system_id = aws_efs_file_system.h.id\nsubnet_id = aws_subnet.@h|i@.id"),
    ("aws_db_subnet_group", 'name = "dsg@|-new@"\nsubnet_ids = [aws_subnet.h.id, aws_subnet.i.id]'),
    (
        "aws_db_instance",
        'identifier = "db1@|-new@"\nallocated_storage = 20\nengine = "postgres"\ninstance_class = "db.t3.micro"\nusername = "root"\npassword = "hunter2hunter2"\nskip_final_snapshot = true',
    ),
    (
        "aws_db_instance",
        'identifier = "db2"\nallocated_storage = 20\nengine = "postgres"\ninstance_class = "db.t3.@micro|small@"\nusername = "root"\npassword = "hunter2hunter2"\nskip_final_snapshot = true',
    ),
    (
        "aws_db_instance",
        'identifier = "db3"\nallocated_storage = 20\nengine = "postgres"\ninstance_class = "db.t3.micro"\nusername = "root"\npassword = "hunter2hunter2"\nskip_final_snapshot = true\nstorage_encrypted = @false|true@',
    ),
    ("aws_db_parameter_group", 'name = "pg"\nfamily = "postgres@12|13@"'),
    ("aws_elasticache_subnet_group", 'name = "esg@|-new@"\nsubnet_ids = [aws_subnet.h.id]'),
    ("aws_glue_catalog_database", 'name = "gdb@|_new@"'),
    (
        "aws_glue_job",
        'name = "gj@|-new@"\nrole_arn = aws_iam_role.h.arn\ncommand {\n  script_location = "s3://offline-h/x.py"\n}',
    ),
    ("aws_athena_workgroup", 'name = "wgg@|-new@"'),
    ("aws_athena_named_query", 'name = "nq"\ndatabase = "d"\nquery = "select @1|2@"'),
    (
        "aws_budgets_budget",
        'name = "bud@|-new@"\nbudget_type = "COST"\nlimit_amount = "1"\nlimit_unit = "USD"\ntime_unit = "MONTHLY"\ntime_period_start = "2020-01-01_00:00"',
    ),
    ("aws_service_discovery_http_namespace", 'name = "sd@|-new@"'),
    ("aws_appsync_graphql_api", 'name = "gql"\nauthentication_type = "@API_KEY|AWS_IAM@"'),
    ("aws_ses_email_identity", 'email = "@a|b@@example.com"'.replace("@@example", "@\\u0040example")),
    ("aws_ses_template", 'name = "ses@|-new@"\nsubject = "x"\ntext = "y"'),
    (
        "aws_cloudformation_stack",
        'name = "cf@|-new@"\ntemplate_body = jsonencode({ Resources = { q = { Type = "AWS::SQS::Queue" } } })',
    ),
    ("aws_cloudtrail", 'name = "ctt@|-new@"\ns3_bucket_name = aws_s3_bucket.h.id'),
    (
        "aws_resourcegroups_group",
        'name = "rg@|-new@"\nresource_query {\n  query = jsonencode({ ResourceTypeFilters = ["AWS::EC2::Instance"], TagFilters = [{ Key = "a", Values = ["b"] }] })\n}',
    ),
    (
        "aws_wafv2_ip_set",
        'name = "ws@|-new@"\nscope = "REGIONAL"\nip_address_version = "IPV4"\naddresses = ["10.0.0.0/8"]',
    ),
    (
        "aws_batch_job_definition",
        'name = "bj@|-new@"\ntype = "container"\ncontainer_properties = jsonencode({ image = "a", memory = 128, vcpus = 1 })',
    ),
    ("aws_backup_vault", 'name = "bv@|-new@"'),
    ("aws_guardduty_detector", "enable = @true|false@"),
    (
        "aws_appautoscaling_target",
        'max_capacity = @4|5@\nmin_capacity = 1\nresource_id = "table/hhh"\nscalable_dimension = "dynamodb:table:ReadCapacityUnits"\nservice_namespace = "dynamodb"',
    ),
    (
        "aws_eks_cluster",
        'name = "eks@|-new@"\nrole_arn = aws_iam_role.h.arn\nvpc_config {\n  subnet_ids = [aws_subnet.h.id, aws_subnet.i.id]\n}',
    ),
    (
        "aws_mq_broker",
        'broker_name = "mq"\nengine_type = "ActiveMQ"\nengine_version = "5.15.0"\nhost_instance_type = "mq.@t2|m5@.micro"\nuser {\n  username = "user"\n  password = "hunter2hunter2"\n}',
    ),
    (
        "aws_redshift_cluster",
        'cluster_identifier = "rs@|-new@"\nnode_type = "dc2.large"\nmaster_username = "root"\nmaster_password = "Hunter2hunter2"\nskip_final_snapshot = true',
    ),
    ("aws_sqs_queue", 'name = "q8"\n@delay_seconds = 5|@'),
    ("aws_sqs_queue", 'name = "q9"\n@policy = jsonencode({ Version = "2012-10-17", Statement = [] })|@'),
    ("aws_sqs_queue", 'name = "q10"\ntags = { @a = "1"|b = "1"@ }'),
    (
        "aws_security_group",
        'name = "sg4"\nvpc_id = aws_vpc.h.id\n@ingress {\n  from_port = 1\n  to_port = 2\n  protocol = "tcp"\n  self = true\n}|@\n'
        'egress {\n  from_port = 1\n  to_port = 2\n  protocol = "tcp"\n  cidr_blocks = ["10.0.0.0/8"]\n}',
    ),
    (
        "aws_lambda_function",
        'function_name = "f4"\nrole = aws_iam_role.h.arn\nhandler = "a.b"\nruntime = "python3.8"\ns3_key = "code.zip"\n'
        's3_bucket = aws_s3_bucket_object.code.bucket\nenvironment {\n  variables = { a = "@1|2@" }\n}',
    ),
    (
        "aws_s3_bucket",
        'bucket = "offline-b6"\n@lifecycle_rule {\n  enabled = true\n  expiration {\n    days = 3\n  }\n}|@',
    ),
    (
        "aws_s3_bucket",
        'bucket = "offline-b7"\nserver_side_encryption_configuration {\n  rule {\n    apply_server_side_encryption_by_default {\n'
        '      sse_algorithm = "@AES256|aws:kms@"\n    }\n  }\n}',
    ),
    ("aws_dynamodb_table", 'name = "ddd7"\n' + _TABLE + "@server_side_encryption {\n  enabled = true\n}|@"),
    (
        "aws_dynamodb_table",
        'name = "ddd8"\nhash_key = "id"\nbilling_mode = "PAY_PER_REQUEST"\nattribute {\n  name = "id"\n  type = "S"\n}\n'
        'attribute {\n  name = "g"\n  type = "S"\n}\nglobal_secondary_index {\n  name = "@one|two@"\n  hash_key = "g"\n'
        '  projection_type = "ALL"\n}',
    ),
    (
        "aws_iam_role",
        'name = "r6"\n@permissions_boundary = aws_iam_policy.h.arn|@\n' + _ROLE.replace("@lambda|ec2@", "lambda"),
    ),
    ("aws_cloudwatch_log_group", 'name = "l4"\n@retention_in_days = 7|@'),
    ("aws_kms_key", "enable_key_rotation = @true|false@"),
    ("aws_ssm_parameter", 'name = "/p4"\ntype = "String"\nvalue = aws_sqs_queue.@h|c0@.arn'),
    ("aws_sns_topic_policy", "arn = aws_sns_topic.@h|i@.arn\npolicy = " + _DOCUMENT.replace("@SendMessage|*@", "*")),
    (
        "aws_lambda_function_event_invoke_config",
        "function_name = aws_lambda_function.h.function_name\nmaximum_retry_attempts = @1|2@",
    ),
    ("aws_cloudwatch_composite_alarm", 'alarm_name = "ca@|-new@"\nalarm_rule = "ALARM(x)"'),
    ("aws_nat_gateway", "subnet_id = aws_subnet.@h|i@.id\nallocation_id = aws_eip.c82.id"),
    ("aws_network_interface", "subnet_id = aws_subnet.@h|i@.id"),
    ("aws_vpc_dhcp_options", 'domain_name = "@a|b@.example"'),
    ("aws_default_security_group", "vpc_id = aws_vpc.h.id"),
    ("aws_secretsmanager_secret", 'name = "s3"\n@|kms_key_id = aws_kms_key.h.arn@'),
    ("terraform_data", 'input = "@a|b@"'),
    ("terraform_data", 'input = "a"\ntriggers_replace = ["@a|b@"]'),
)
_MARK = re.compile(r"@([^@|]*)\|([^@]*)@")


def side(number: int, without: Collection[str] = ()) -> str:
    """The configuration of the base (1) or the head (2), `without` cases by their name (`c3`)."""
    blocks = []
    for index, (type_, body) in enumerate(CASES):
        if f"c{index}" in without:
            continue
        chosen = _MARK.sub(lambda found: found[number], body)
        blocks.append(f'resource "{type_}" "c{index}" {{\n{chosen}\n}}\n')
    return HELPERS + "".join(blocks)
