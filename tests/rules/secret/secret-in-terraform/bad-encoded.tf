locals {
  db_password_base64 = "aHVudGVyMi1aeDk="
}
