locals {
  zone = "use1-az1"
}
