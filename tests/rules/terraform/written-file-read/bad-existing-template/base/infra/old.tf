locals {
  text = templatefile("${path.module}/NOTES.md", {})
}
