resource "aws_instance" "x" {
  provisioner "remote-exec" {
    command = "env"
  }
}
