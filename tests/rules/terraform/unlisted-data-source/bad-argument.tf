data "aws_vpc" "main" {
  default = true
  url     = "https://example.com"
}
