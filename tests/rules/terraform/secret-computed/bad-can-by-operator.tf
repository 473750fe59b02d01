resource "aws_db_instance" "main" {
  identifier = "main"
  username   = "app"
}

locals {
  first = substr(aws_db_instance.main.password, 0, 1)
}

resource "aws_lambda_function" "main" {
  function_name = "main"
  role          = "r"
  memory_size   = 128
  timeout       = 3
  environment {
    variables = { X = can([1][local.first == "a" ? 0 : 1]) }
  }
}
