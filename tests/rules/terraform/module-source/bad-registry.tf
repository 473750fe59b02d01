module "x" {
  source = "terraform-aws-modules/vpc/aws"
}
