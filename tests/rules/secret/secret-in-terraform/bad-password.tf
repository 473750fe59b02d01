resource "aws_db_instance" "x" {
  password = "hunter2-Zx9"
}
