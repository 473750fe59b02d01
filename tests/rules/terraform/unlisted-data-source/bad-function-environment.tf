data "aws_lambda_function" "other" {
  function_name = "other"
}
