resource "aws_lambda_function" "f" {
  function_name = "f"
  role          = var.role
  timeout       = 3
  memory_size   = 128
  filename      = "/proc/self/environ"
}

variable "role" {
  type        = string
  description = "Its role."
}
