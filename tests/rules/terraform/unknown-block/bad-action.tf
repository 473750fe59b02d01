action "aws_lambda_invoke" "x" {}
