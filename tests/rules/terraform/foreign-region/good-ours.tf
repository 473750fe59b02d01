locals {
  zone = "sa-east-1a"
}
