data "aws_region" "current" {}

data "aws_availability_zones" "open" {}

resource "aws_sqs_queue" "orders" {
  name   = "orders"
  policy = jsonencode({ Resource = "arn:aws:sqs:${data.aws_region.current.name}:${split(":", aws_sns_topic.orders.arn)[4]}:orders" })
}

resource "aws_sns_topic" "orders" {
  name = format("orders-%s", lower(data.aws_availability_zones.open.names[0]))
}

resource "aws_ebs_volume" "files" {
  availability_zone = "${var.aws_region}${element(["a", "b"], 3)}"
  size              = 1
}
