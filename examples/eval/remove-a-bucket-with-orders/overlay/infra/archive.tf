# Orders older than two years.
resource "aws_s3_bucket" "archive" {
  bucket = "${local.name_prefix}-archive"

  tags = local.tags
}

resource "aws_s3_bucket_public_access_block" "archive" {
  bucket = aws_s3_bucket.archive.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
