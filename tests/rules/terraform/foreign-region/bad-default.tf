variable "x" {
  type        = string
  description = "x"
  default     = "ap-southeast-2"
}
