resource "terraform_data" "x" {
  lifecycle {
    action_trigger {
      events = [after_create]
    }
  }
}
