data "aws_kms_secrets" "x" {}
