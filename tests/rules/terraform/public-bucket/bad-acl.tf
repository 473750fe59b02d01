resource "aws_s3_bucket_acl" "x" {
  bucket = "x"
  acl    = "public-read"
}
