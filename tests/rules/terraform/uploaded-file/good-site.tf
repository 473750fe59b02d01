locals {
  site = "${path.module}/site"
}

resource "aws_s3_object" "site" {
  for_each = fileset("${path.module}/site", "**/*.html")
  bucket   = "files"
  key      = each.value
  source   = "${local.site}/${each.value}"
}

resource "aws_s3_object" "named" {
  for_each = { home = "home.html", help = "help.html" }
  bucket   = "files"
  key      = each.key
  source   = "${path.module}/../site/${each.value}"
}

resource "aws_lambda_layer_version" "f" {
  layer_name = "f"
  filename      = var.service_name == "orders" ? "${path.root}/dist/f.zip" : null
}
