resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"

  lifecycle {
    postcondition {
      condition     = self.password != "a"
      error_message = "It is."
    }
  }
}
