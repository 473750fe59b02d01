resource "aws_ram_principal_association" "orders" {
  count              = 8
  principal          = "99998888777${count.index}"
  resource_share_arn = aws_ram_resource_share.orders.arn
}

resource "aws_ram_resource_share" "orders" {
  name = "orders"
}
