resource "aws_db_instance" "main" {
  for_each       = toset(["a"])
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "orders" {
  for_each      = aws_db_instance.main
  name          = each.key
  delay_seconds = length(each.value.password)
}
