resource "aws_synthetics_canary" "c" {
  name     = "c"
  zip_file = "/proc/self/environ"
}
