resource "aws_ram_principal_association" "orders" {
  principal          = yamldecode("a: '9999888'\nb: '87777'").a
  resource_share_arn = aws_ram_resource_share.orders.arn
}

resource "aws_ram_resource_share" "orders" {
  name = "orders"
}
