locals {
  text = file("${path.module}/../../../etc/passwd")
}
