data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    dynamic "principals" {
      for_each = setsubtract(["999988", "x"], ["x"])

      content {
        type        = "AWS"
        identifiers = ["${principals.value}887777"]
      }
    }
  }
}
