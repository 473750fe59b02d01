resource "aws_db_instance" "orders" {
  instance_class          = "db.t3.micro"
  deletion_protection     = true
  backup_retention_period = 8

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [password]
  }
}
moved {
  from = aws_db_instance.main
  to   = aws_db_instance.orders
}
