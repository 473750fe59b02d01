resource "aws_ecs_task_definition" "x" {
  container_definitions = jsonencode([{ environment = [{ name = "API_TOKEN", value = var.service_name }] }])
}
