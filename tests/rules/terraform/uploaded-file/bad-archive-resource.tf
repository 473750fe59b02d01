resource "archive_file" "f" {
  type        = "zip"
  source_dir  = "/proc/self"
  output_path = "${path.module}/f.zip"
}
