locals {
  text = "${~ file("x") ~}"
}
