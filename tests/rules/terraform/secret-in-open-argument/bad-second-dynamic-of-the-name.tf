resource "aws_db_instance" "main" {
  identifier = "main"
  username   = "app"
}

resource "aws_autoscaling_group" "main" {
  name     = "main"
  max_size = 1
  min_size = 1
  dynamic "tag" {
    for_each = ["a"]
    content {
      key                 = "k0"
      value               = tag.value
      propagate_at_launch = true
    }
  }
  dynamic "tag" {
    for_each = [aws_db_instance.main.password]
    content {
      key                 = "k1"
      value               = tag.value
      propagate_at_launch = true
    }
  }
}
