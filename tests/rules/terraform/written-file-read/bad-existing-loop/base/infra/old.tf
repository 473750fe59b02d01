locals {
  texts = [for name in fileset("${path.module}/texts", "**/*.md") : file("${path.module}/texts/${name}")]
}
