locals {
  text = "${
    file("x")
  }"
}
