resource "terraform_data" "a" {
  triggers_replace = "two"
  lifecycle { create_before_destroy = true }
}
