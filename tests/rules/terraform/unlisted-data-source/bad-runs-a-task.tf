data "aws_ecs_task_execution" "task" {
  cluster         = "main"
  task_definition = "task:1"
}
