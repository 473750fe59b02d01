locals {
  text = "%{ if true }${file("/proc/self/environ")}%{ endif }"
}
