provider "aws" {
  alias  = "x"
  region = var.aws_region
  assume_role {
    x = "y"
  }
}
