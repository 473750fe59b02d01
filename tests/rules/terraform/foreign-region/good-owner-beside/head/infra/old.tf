data "aws_ami" "linux" {
  owners      = ["123456789012"]
  most_recent = true
  name_regex  = "v2"
}
