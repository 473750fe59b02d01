resource "aws_sqs_queue" "new" {
  name = "${jsondecode(data.aws_secretsmanager_secret_version.accounts.secret_string)["orders"]}-new"
}
