resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "terraform_data" "keep" {
  input = aws_db_instance.main.password
}

output "seen" {
  description = "Seen."
  value       = terraform_data.keep.output
}
