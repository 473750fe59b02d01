locals {
  text = file("${path.module}/texts/${data.aws_region.current.description}.md")
}

data "aws_region" "current" {}
