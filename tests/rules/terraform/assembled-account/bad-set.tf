data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [join("", tolist(setunion(["999988"], ["887777"])))]
    }
  }
}
