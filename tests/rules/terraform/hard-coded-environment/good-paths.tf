resource "aws_ecs_task_definition" "main" {
  family = "orders"
  container_definitions = jsonencode([{
    name             = "orders"
    command          = ["serve", "--log", "/dev/stdout", "--data", "/prod-data/files"]
    healthCheck      = { command = ["CMD-SHELL", "curl -fs http://localhost/health > /dev/null || exit 1"] }
    logConfiguration = { logDriver = "awslogs" }
    mountPoints      = [{ containerPath = "/prod/files", sourceVolume = "files" }]
  }])
}

resource "aws_lb_target_group" "main" {
  name = "orders"

  health_check {
    path = "/prod/health"
  }
}

resource "aws_ebs_volume" "main" {
  availability_zone = "sa-east-1a"
  size              = 1
}

resource "aws_volume_attachment" "main" {
  device_name = "/dev/sdf"
  instance_id = "i-1"
  volume_id   = aws_ebs_volume.main.id
}

locals {
  products = "/products/list"
  say      = "Used by dev, prod and staging."
}
