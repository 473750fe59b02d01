locals {
  title = join("", ["999988", "887777"])
}
