locals {
  account = 999988887777.0
}
