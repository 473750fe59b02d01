provider "aws" {
  alias  = "b"
  region = strrev("1-tsae-su")
}
