variable "name" {
  description = "Name of the function, its role and its log group."
  type        = string
}

variable "handler" {
  description = "Python path of the handler."
  type        = string
}

variable "artifact_bucket" {
  description = "Bucket of the deployment package."
  type        = string
}

variable "artifact_key" {
  description = "Key of the deployment package."
  type        = string
}

variable "timeout_seconds" {
  description = "Longest run of one call."
  type        = number
}

variable "memory_mb" {
  description = "Memory of the function."
  type        = number
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "environment_variables" {
  description = "Configuration of the function; never secrets."
  type        = map(string)
}

variable "statements" {
  description = "What the function may do."
  type = list(object({
    actions   = list(string)
    resources = list(string)
  }))
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
}
