variable "db_password" {
  type        = string
  description = "Password."
  sensitive   = true
}

resource "aws_db_instance" "main" {
  identifier     = "orders"
  engine         = "postgres"
  instance_class = "db.t3.micro"
  username       = "orders"
  password       = var.db_password
}

resource "aws_lambda_function" "main" {
  function_name = "orders"
  role          = "orders"
  handler       = "main.handler"
  runtime       = "python3.12"
  s3_bucket     = "code"
  s3_key        = "orders.zip"

  environment {
    variables = {
      BEGINS = can(regex("^a", aws_db_instance.main.password))
    }
  }
}
