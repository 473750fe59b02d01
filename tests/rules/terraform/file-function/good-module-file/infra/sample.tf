locals {
  text = file("${path.module}/main.tf")
}
