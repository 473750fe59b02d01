locals {
  settings = "{\"db_password\": \"hunter2-Zx9\"}"
}
