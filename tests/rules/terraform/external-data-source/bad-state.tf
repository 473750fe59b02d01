data "terraform_remote_state" "x" {
  backend = "http"
  config = { address = "https://example.com" }
}
