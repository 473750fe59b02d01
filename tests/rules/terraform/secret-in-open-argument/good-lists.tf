data "aws_availability_zones" "open" {
  state = "available"
}

data "aws_subnets" "private" {
  filter {
    name   = "tag:tier"
    values = ["private"]
  }
}

data "aws_subnet" "private" {
  for_each = toset(data.aws_subnets.private.ids)
  id       = each.value
}

data "aws_subnet" "counted" {
  count = 2
  id    = data.aws_subnets.private.ids[count.index]
}

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true
}

resource "aws_ebs_volume" "files" {
  count             = length(data.aws_availability_zones.open.names)
  availability_zone = data.aws_availability_zones.open.names[count.index]
  size              = 1
}

resource "aws_efs_mount_target" "files" {
  for_each       = data.aws_subnet.private
  file_system_id = "fs-1"
  subnet_id      = each.value.id
}

resource "aws_db_subnet_group" "main" {
  name       = "orders"
  subnet_ids = concat(data.aws_subnet.counted[*].id, [for s in data.aws_subnet.private : s.id])
}

resource "aws_placement_group" "main" {
  name     = "orders-${element(concat(data.aws_subnet.counted.*.cidr_block, [""]), 0)}"
  strategy = data.aws_ami.linux.architecture == "arm64" ? "spread" : "cluster"
}
