resource "aws_db_instance" "main" {
  instance_class          = "db.t3.micro"
  deletion_protection     = true
  backup_retention_period = 7

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [password]
  }
}
