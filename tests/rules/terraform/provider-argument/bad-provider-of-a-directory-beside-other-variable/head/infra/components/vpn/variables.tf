variable "stage" {
  description = "Where the account is."
  type        = string
  default     = "admin"
}
