resource "terraform_data" "a" {
  input = "one"
}

check "health" {
  assert {
    condition     = terraform_data.a.input == "two"
    error_message = "the input is not two"
  }
}
