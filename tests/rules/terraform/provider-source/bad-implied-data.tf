data "local_file" "x" {}
