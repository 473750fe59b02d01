provider "aws" {
  alias  = "x"
  region = var.aws_region
  shared_config_files = "x"
}
