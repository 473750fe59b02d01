data "aws_ami" "linux" {
  owners      = ["099720109477", "137112412989"]
  most_recent = true
}

locals {
  add_on = "602401143452.dkr.ecr.sa-east-1.amazonaws.com/eks/pause:3.5"
  logs   = "arn:aws:iam::507241528517:root"
}
