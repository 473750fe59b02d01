data "aws_cloudcontrolapi_resource" "parameter" {
  type_name  = "AWS::SSM::Parameter"
  identifier = "password"
}
