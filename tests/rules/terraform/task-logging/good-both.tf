resource "aws_ecs_task_definition" "x" {
  family                = "x"
  container_definitions = jsonencode([{ name = "x", logConfiguration = { logDriver = "awslogs" }, healthCheck = { command = ["CMD", "true"] } }])
}
