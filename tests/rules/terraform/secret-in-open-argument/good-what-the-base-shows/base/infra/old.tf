data "aws_secretsmanager_secret_version" "accounts" {
  secret_id = "accounts"
}

resource "aws_sqs_queue" "old" {
  name = jsondecode(data.aws_secretsmanager_secret_version.accounts.secret_string)["orders"]
}
