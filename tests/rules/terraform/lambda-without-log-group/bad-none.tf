resource "aws_lambda_function" "x" {
  function_name = "x"
  role          = "x"
  timeout       = 10
  memory_size   = 256
}
