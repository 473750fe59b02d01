resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_ssm_parameter" "login" {
  name  = "/orders/login"
  type  = "SecureString"
  value = cidrhost(aws_db_instance.main.password, 1)
}
