locals {
  more = 1
}
