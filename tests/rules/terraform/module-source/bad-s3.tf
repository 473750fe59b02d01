module "x" {
  source = "s3::https://s3.amazonaws.com/x/y.zip"
}
