locals {
  settings = "QUtJQVEzRUdSWjdLV0o1VFBOMk0="
}
