variable "account" {
  type        = string
  description = "a"
  default     = "283165662494"
}
