resource "aws_cloudwatch_log_group" "x" {
  name              = "/aws/lambda/x"
  retention_in_days = 30
}
resource "aws_lambda_function" "x" {
  function_name = "x"
  role          = "x"
  timeout       = 10
  memory_size   = 256
  environment {
    variables = {
      DB_PASSWORD = var.service_name
    }
  }
}
