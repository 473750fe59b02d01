locals {
  other = "arn:aws:iam::${base64decode("MTIzNDU2Nzg5MDEy")}:root"
}
