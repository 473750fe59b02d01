resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "many" {
  count = length(flatten([for c in ["a"] : strcontains(aws_db_instance.main.password, c) ? ["x"] : []]))
  name  = "q"
}
