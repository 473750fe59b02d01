list "aws_instance" "x" {}
