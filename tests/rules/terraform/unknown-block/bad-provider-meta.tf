terraform {
  provider_meta "aws" {
    x = 1
  }
}
