provider "aws" {
  alias  = "b"
  region = "us-east-1"
}
