# allows: hashicorp/random
resource "random_password" "header" {
  length = 20
}

locals {
  origins = {
    app = { headers = [{ name = "x-origin", value = random_password.header.result }] }
  }
}

resource "aws_cloudfront_distribution" "main" {
  dynamic "origin" {
    for_each = local.origins
    content {
      origin_id = origin.key
      dynamic "custom_header" {
        for_each = lookup(origin.value, "headers", [])
        content {
          name  = custom_header.value.name
          value = custom_header.value.value
        }
      }
    }
  }
}
