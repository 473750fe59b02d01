data "aws_region" "x" {
  region = "us-east-1"
}
