variable "protected" {
  type        = bool
  description = "Whether it may go."
  default     = true
}

resource "aws_db_instance" "main" {
  instance_class      = "db.t3.micro"
  deletion_protection = var.protected
}
