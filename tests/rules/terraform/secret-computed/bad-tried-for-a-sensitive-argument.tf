resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_ssm_parameter" "login" {
  name  = "/orders/login"
  type  = "SecureString"
  value = try(regex("^a", aws_db_instance.main.password), "no")
}
