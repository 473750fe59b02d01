locals {
  text = fileset(path.module, "../*")
}
