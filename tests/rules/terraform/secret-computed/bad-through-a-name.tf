resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_sqs_queue" "bearer" {
  name = aws_db_instance.main.password
}

output "seen" {
  description = "Seen."
  value       = can(regex("^a", aws_sqs_queue.bearer.name))
}
