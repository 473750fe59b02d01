resource "aws_db_instance" "main" {
  count      = 1
  identifier = "main"
  username   = "app"
}

resource "aws_autoscaling_group" "main" {
  name     = one(aws_db_instance.main[*].identifier)
  max_size = length(aws_db_instance.main)
  min_size = length(aws_db_instance.main[*].id)
  dynamic "tag" {
    for_each = { one = aws_db_instance.main[0].arn }
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }
  dynamic "tag" {
    for_each = ["a"]
    content {
      key                 = "k1"
      value               = tag.value
      propagate_at_launch = true
    }
  }
}
