output "order_topic_arn" {
  description = "Topic that other services subscribe to."
  value       = aws_sns_topic.order_events.arn
}

output "api_function_name" {
  description = "Function behind the orders API."
  value       = module.api.function_name
}
