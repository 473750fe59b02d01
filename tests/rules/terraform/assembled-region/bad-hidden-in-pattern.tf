locals {
  owner = replace("999988x887777", "/((x))+/", "")
}
