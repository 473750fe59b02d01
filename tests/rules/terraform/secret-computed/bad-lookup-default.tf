resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "many" {
  count = lookup({ a = 1 }, "b", length(aws_db_instance.main.password))
  name  = "q"
}
