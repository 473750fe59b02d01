# allows: hashicorp/random
resource "random_password" "header" {
  length = 20
}

locals {
  origin = {
    path    = "/app"
    headers = [{ name = "x-origin", value = random_password.header.result }]
  }
}

resource "aws_cloudfront_distribution" "main" {
  enabled = lookup(local.origin, "path", "") != "/"

  origin {
    domain_name = "orders.example.com"
    origin_id   = lookup(local.origin, "path", "orders")
  }
}
