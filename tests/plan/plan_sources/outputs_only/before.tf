resource "terraform_data" "a" {
  input = "one"
}
output "o" {
  value = "one"
}
