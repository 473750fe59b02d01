locals {
  page  = "SGVsbG8sIHRoaXMgaXMgYSBwYWdl"
  login = jsonencode({ name = "QUEUE", value = "orders" })
}
