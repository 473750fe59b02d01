variable "environment" {
  description = "Short name of the environment: dev or prod."
  type        = string

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "The environment must be dev or prod."
  }
}

variable "region" {
  description = "Region of every resource."
  type        = string
}

variable "account_id" {
  description = "Account that this environment lives in."
  type        = string
}

variable "service_name" {
  description = "Name of the service; the first part of every resource name."
  type        = string
  default     = "orders"
}

variable "artifact_bucket" {
  description = "Bucket that the build puts deployment packages into."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "alarm_topic_arn" {
  description = "Topic of the on-call rotation; alarms are sent there."
  type        = string
}

variable "api_error_threshold" {
  description = "Failed API calls within five minutes that wake somebody."
  type        = number
}

variable "team_mail" {
  description = "Address of the team that reads the alarms along with the person on call."
  type        = string
}
