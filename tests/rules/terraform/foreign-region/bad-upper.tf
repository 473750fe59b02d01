locals {
  x = "US-EAST-1"
}
