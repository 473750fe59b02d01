resource "local_file" "x" {}
