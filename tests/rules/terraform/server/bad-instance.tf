resource "aws_instance" "x" {
  ami = "x"
}
