resource "aws_dynamodb_table" "x" {
  billing_mode  = "PROVISIONED"
  read_capacity = 5
}
