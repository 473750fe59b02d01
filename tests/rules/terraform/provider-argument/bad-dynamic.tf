provider "aws" {
  alias  = "x"
  region = var.aws_region
  dynamic "assume_role" {
    for_each = [1]
    content {}
  }
}
