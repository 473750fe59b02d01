resource "aws_db_instance" "main" {
  instance_class = "db.t3.micro"
}

resource "aws_ssm_parameter" "login" {
  name  = "/orders/login"
  type  = "SecureString"
  value = startswith(aws_db_instance.main.password, "a") ? upper(aws_db_instance.main.password) : substr(aws_db_instance.main.password, 1, -1)
}
