resource "terraform_data" "topic" {
  input = "orders"
}

output "id" {
  value = "id of ${terraform_data.topic.id}"
}

output "note" {
  value = "constant"
}
