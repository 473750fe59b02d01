check "x" {
  data "aws_vpc" "main" {
    default = true
  }

  assert {
    condition     = data.aws_vpc.main.id != ""
    error_message = "x"
  }
}
