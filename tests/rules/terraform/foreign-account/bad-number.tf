locals {
  account = 123456789012
}
