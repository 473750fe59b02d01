locals {
  image = "x.dkr.ecr.us-west-2.amazonaws.com/x"
}
