locals {
  region = join("-", ["us", "east", "1"])
}
