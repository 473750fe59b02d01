data "aws_ssm_parameter" "flag" {
  name = "/prod/master-password"
}
