locals {
  other = [for half in ["999988", "123456"] : "${half}887777" if half != "123456"]
}
