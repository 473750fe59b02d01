resource "aws_dynamodb_table" "x" {
  replica {
    region_name = "us-east-1"
  }
}
