resource "aws_db_instance" "main" {
  identifier = "main"
  username   = "app"
}

resource "aws_codepipeline" "main" {
  name     = "main"
  role_arn = "r"
  stage {
    name = "source"
    action {
      name     = "source"
      category = "Source"
      owner    = "AWS"
      version  = "1"
      provider = aws_db_instance.main.password
    }
  }
}
