data "http" "known" {
  url = "https://example.com"
}
