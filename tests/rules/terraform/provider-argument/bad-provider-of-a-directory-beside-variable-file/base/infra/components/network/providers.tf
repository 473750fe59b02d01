provider "aws" {
  region  = "sa-east-1"
  profile = module.iam_roles.profile
}

module "iam_roles" {
  source = "../iam-roles"
  stage  = var.stage
}
