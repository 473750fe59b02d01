locals {
  zone = "usw2-lax1-az1"
}
