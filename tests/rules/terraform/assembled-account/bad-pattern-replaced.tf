data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [replace("9999.8888.7777", "/[.]/", "")]
    }
  }
}
