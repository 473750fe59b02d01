provider "aws" {
  alias  = "x"
  region = var.aws_region
  endpoints {
    x = "y"
  }
}
