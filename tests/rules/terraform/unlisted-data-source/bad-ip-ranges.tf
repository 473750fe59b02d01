data "aws_ip_ranges" "x" {
  services = ["s3"]
  url      = "https://example.com/?${var.service_name}"
}
