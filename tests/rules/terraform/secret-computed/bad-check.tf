resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

check "word" {
  assert {
    condition     = aws_db_instance.main.password == "a"
    error_message = "No."
  }
}
