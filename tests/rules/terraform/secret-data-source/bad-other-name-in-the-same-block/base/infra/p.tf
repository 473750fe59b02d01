data "aws_ssm_parameter" "flag" {
  name = "/app/flag"
}
