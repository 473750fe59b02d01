# allows: hashicorp/archive
data "archive_file" "f" {
  type        = "zip"
  source_dir  = "${path.module}/environments"
  output_path = "${path.module}/f.zip"
}

resource "aws_lambda_function" "f" {
  function_name    = "f"
  role             = var.service_name
  timeout          = 3
  memory_size      = 128
  filename         = data.archive_file.f.output_path
  source_code_hash = data.archive_file.f.output_base64sha256
}

resource "aws_cloudwatch_log_group" "f" {
  name              = "/aws/lambda/f"
  retention_in_days = 30
}
