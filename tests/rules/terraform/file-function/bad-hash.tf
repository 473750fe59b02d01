locals {
  text = filesha256("/etc/passwd")
}
