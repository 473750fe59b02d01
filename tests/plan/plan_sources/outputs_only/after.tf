resource "terraform_data" "a" {
  input = "one"
}
output "o" {
  value = "two"
}
output "p" {
  value = 3
}
