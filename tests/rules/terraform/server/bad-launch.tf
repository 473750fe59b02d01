resource "aws_ecs_service" "x" {
  launch_type = "EC2"
}
