provider "aws" {
  alias  = "x"
  region = var.aws_region
  assume_role_with_web_identity {
    x = "y"
  }
}
