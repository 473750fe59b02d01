locals {
  text = fileset("/proc", "*")
}
