resource "terraform_data" "limit" {
  lifecycle {
    precondition {
      condition     = var.log_retention_days > 1000
      error_message = "The logs are kept for too short a time."
    }
  }
}
