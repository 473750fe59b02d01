# allows: hashicorp/archive
# allows: hashicorp/cloudinit
# allows: hashicorp/tls
data "tls_certificate" "github" {
  url = "https://token.actions.githubusercontent.com/.well-known/openid-configuration"
}

data "tls_certificate" "cluster" {
  url = aws_eks_cluster.main.identity[0].oidc[0].issuer
}

resource "aws_eks_cluster" "main" {
  name     = "orders"
  role_arn = var.service_name
}

data "cloudinit_config" "server" {
  part {
    content = "#!/bin/sh"
  }
}

data "archive_file" "code" {
  type        = "zip"
  source_file = "${path.module}/main.tf"
  output_path = "${path.module}/code.zip"
}
