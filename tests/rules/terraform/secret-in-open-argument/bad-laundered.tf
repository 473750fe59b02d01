resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "terraform_data" "keep" {
  input = "x-${aws_db_instance.main.password}"
}
