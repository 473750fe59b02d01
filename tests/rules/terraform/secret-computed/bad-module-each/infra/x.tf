resource "aws_db_instance" "main" {
  for_each       = toset(["a"])
  instance_class = "db.t3.micro"
}

module "m" {
  source   = "./m"
  for_each = aws_db_instance.main
  word     = each.value.password
}
