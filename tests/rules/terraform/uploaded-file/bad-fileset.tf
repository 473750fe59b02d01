resource "aws_s3_object" "file" {
  for_each = fileset("${path.module}/..", "**")
  bucket   = "files"
  key      = each.key
  source   = "${path.module}/../../../${each.value}"
}
