module "x" {
  source = "https://example.com/x.zip"
}
