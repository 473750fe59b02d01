data "aws_s3_object" "x" {}
