provider "aws" {
  alias = "b"
}
