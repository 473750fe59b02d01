resource "aws_instance" "x" {
  provisioner "file" {
    command = "env"
  }
}
