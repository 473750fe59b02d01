variable "size" {
  type        = number
  description = "How many."
  default     = 1
}
