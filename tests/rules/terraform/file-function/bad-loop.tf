locals {
  text = [for name in ["main.tf", "../../../../etc/passwd"] : file("${path.module}/${name}")]
}
