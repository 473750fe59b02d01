data "aws_ssm_parameter" "x" {}
