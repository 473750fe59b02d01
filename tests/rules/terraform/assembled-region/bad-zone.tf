resource "aws_ebs_volume" "files" {
  availability_zone = "${regex("us", "us")}-east-1a"
  size              = 1
}
