locals {
  image = "123456789012.dkr.ecr.sa-east-1.amazonaws.com/x"
}
