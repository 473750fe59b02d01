variable "parts" {
  type        = object({ side = string, number = number })
  description = "Parts."
}

locals {
  where = "us-${var.parts.side}-${var.parts["number"]}"
}
