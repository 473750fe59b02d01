locals {
  comment = "arn:aws:iam::999988887777:root"
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [local.comment]
    }
  }
}
