resource "aws_ecs_service" "x" {
  name        = "x"
  launch_type = "FARGATE"
}
