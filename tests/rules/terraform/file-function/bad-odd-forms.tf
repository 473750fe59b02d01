locals {
  a = file/* x */("/etc/passwd")
  b = core::file("/etc/passwd")
  c = "${~ file("/etc/passwd") ~}"
}
