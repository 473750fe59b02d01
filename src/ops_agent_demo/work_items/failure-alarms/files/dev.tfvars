environment        = "dev"
region             = "sa-east-1"
account_id         = "125611408459"
artifact_bucket    = "drivven-artifacts-dev"
log_retention_days = 14
alarm_topic_arn    = "arn:aws:sns:sa-east-1:125611408459:platform-on-call"

api_error_threshold = 10
team_mail           = "orders-team@drivven.example"
