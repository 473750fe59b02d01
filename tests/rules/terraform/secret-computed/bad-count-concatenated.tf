resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "many" {
  count = length(concat([], strcontains(aws_db_instance.main.password, "a") ? ["x"] : []))
  name  = "q"
}
