data "http" "more" {
  url = "https://example.org"
}
