resource "aws_s3_object" "file" {
  bucket = "files"
  key    = "file"
  source = "${path.root}/tfplan"
}
