data "aws_ssm_parameter" "x" {
  name = "/${var.service_name}/password"
}
