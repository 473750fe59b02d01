environment        = "prod"
region             = "sa-east-1"
account_id         = "283165662494"
artifact_bucket    = "drivven-artifacts-prod"
log_retention_days = 90
alarm_topic_arn    = "arn:aws:sns:sa-east-1:283165662494:platform-on-call"

api_error_threshold = 3
team_mail           = "orders-team@drivven.example"
