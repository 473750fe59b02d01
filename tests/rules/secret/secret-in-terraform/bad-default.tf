variable "db_password" {
  default = "hunter2-Zx9"
}
