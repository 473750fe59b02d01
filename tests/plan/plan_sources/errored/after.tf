resource "terraform_data" "a" {
  input = "one"
}

resource "terraform_data" "b" {
  input = "two"
  lifecycle {
    precondition {
      condition     = terraform_data.a.input == "two"
      error_message = "the first input must be two"
    }
  }
}
