variable "from" {
  type = string
}

resource "terraform_data" "reader" {
  input = var.from
}

output "read" {
  value = terraform_data.reader.output
}
