variable "library" {
  type        = string
  description = "A folder of the caller's."
}

locals {
  names = fileset(var.library, "*.json")
  texts = { for name in local.names : name => templatefile("${var.library}/${name}", {}) }
}
