environment        = "dev"
region             = "sa-east-1"
account_id         = "125611408459"
artifact_bucket    = "drivven-artifacts-dev"
log_retention_days = 14
alarm_topic_arn    = "arn:aws:sns:sa-east-1:125611408459:platform-on-call"

billing_retention_seconds     = 345600 # 4 days
billing_visibility_seconds    = 60     # the longest that billing takes
billing_max_receives          = 5
dead_letter_retention_seconds = 1209600 # 14 days, the most that SQS keeps
