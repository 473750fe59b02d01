resource "aws_db_instance" "main" {
  for_each       = toset(["a", "b"])
  instance_class = "db.t3.micro"
}

output "endpoints" {
  description = "Where they answer."
  value       = { for name, one in aws_db_instance.main : name => lower(one.endpoint) }
}

output "addresses" {
  description = "The hosts they run on."
  value       = [for one in values(aws_db_instance.main) : one.address if one.port == 5432]
}

output "first" {
  description = "The first one's name."
  value       = upper(values(aws_db_instance.main)[0].db_name)
}

resource "aws_sqs_queue" "orders" {
  for_each = aws_db_instance.main
  name     = "orders-${lower(each.value.identifier)}"
}

output "count" {
  description = "How many there are."
  value       = length(aws_db_instance.main)
}
