locals {
  network = "10.20.0.0/16"
  subnets = [for n in range(3) : cidrsubnet(local.network, 8, n)]
  first   = cidrhost(local.network, 5)
  names   = formatlist("%s-%02d", ["queue", "topic"], 7)
  short   = substr(sha1("orders"), 0, 8)
  plain   = replace(lower("Orders.Of-Today"), "/[^a-z0-9-]+/", "-")
  parts   = regexall("[a-z]+", "orders-of-today")
  percent = format("%d%% of %s", 50, "orders")
}

resource "aws_sqs_queue" "orders" {
  count = 2
  name  = format("orders-%02d", count.index + 1)
}

resource "aws_sqs_queue" "others" {
  for_each = { for name in ["a", "b"] : name => strrev(name) if name != "b" }
  name     = join("-", [each.key, each.value, replace(aws_sqs_queue.orders[0].name, "/^(.*)-([0-9]+)$/", "$2")])
}
