resource "aws_cloudwatch_log_group" "x" {
  name              = "/aws/lambda/x"
  retention_in_days = 30
}
resource "aws_lambda_function" "x" {
  function_name = "x"
}
