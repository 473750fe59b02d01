resource "aws_instance" "x" {
  connection {
    host = "x"
  }
}
