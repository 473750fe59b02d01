locals {
  place = regex("us-[a-z]+", "us-east")
  topic = "arn:aws:sns:${local.place}-1:x:orders"
}
