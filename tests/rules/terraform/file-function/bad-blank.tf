locals {
  text = file ("/proc/self/environ")
}
