data "aws_ssm_parameter" "image" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

data "aws_ssm_parameter" "cluster" {
  name = "/aws/service/eks/optimized-ami/${local.version}/amazon-linux-2023/x86_64/standard/recommended/image_id"
}

locals {
  version = "1.33"
  image   = nonsensitive(data.aws_ssm_parameter.image.value)
}
