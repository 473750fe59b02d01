locals {
  topic = "arn:aws:sns:${strrev("1-tsae-su")}:125611408459:orders"
}
