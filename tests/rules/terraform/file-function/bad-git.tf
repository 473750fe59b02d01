locals {
  text = file("${path.module}/../.git/config")
}
