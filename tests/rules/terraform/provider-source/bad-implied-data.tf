data "archive_file" "x" {}
