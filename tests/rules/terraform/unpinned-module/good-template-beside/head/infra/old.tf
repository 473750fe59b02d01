variable "template" {
  type        = string
  description = "A template."
}

locals {
  text = templatefile(var.template, { size = 2 })
}
