locals {
  x = {
    client_secret = "hunter2-Zx9"
  }
}
