resource "aws_ssm_parameter" "path" {
  name  = "/proc/self/environ"
  type  = "String"
  value = "x"
}

locals {
  text = file(aws_ssm_parameter.path.name)
}
