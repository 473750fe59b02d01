locals {
  text = [for x in ["a"] : file("/proc/self/${x}")]
}
