locals {
  settings = [{ name = "DB_PASSWORD", value = "hunter2-Zx9" }]
}
