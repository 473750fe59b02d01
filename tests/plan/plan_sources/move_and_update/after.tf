resource "terraform_data" "b" {
  input = "two"
}
moved {
  from = terraform_data.a
  to   = terraform_data.b
}
