resource "aws_s3_bucket" "x" {
  bucket = "${var.service_name}-files"
}
