variable "package" {
  type        = string
  description = "Where it is."
}

resource "aws_lambda_function" "f" {
  function_name = "f"
  role          = var.service_name
  timeout       = 3
  memory_size   = 128
  filename      = var.package
}
