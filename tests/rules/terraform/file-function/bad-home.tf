locals {
  text = file(pathexpand("~/.aws/credentials"))
}
