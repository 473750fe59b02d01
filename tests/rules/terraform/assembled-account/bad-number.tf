resource "aws_ram_principal_association" "orders" {
  principal          = 999988 * 1000000 + 887777
  resource_share_arn = aws_ram_resource_share.orders.arn
}

resource "aws_ram_resource_share" "orders" {
  name = "orders"
}
