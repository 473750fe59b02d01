resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "many" {
  count = length([for c in ["a", "b"] : c if strcontains(aws_db_instance.main.password, c)])
  name  = "q"
}
