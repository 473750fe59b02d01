resource "aws_dynamodb_table" "x" {
  name         = "x"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
}
