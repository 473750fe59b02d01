locals {
  settings = "aHVudGVyMi1aeDk="
}

resource "aws_db_instance" "orders" {
  password = base64decode(local.settings)
}
