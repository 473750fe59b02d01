# allows: hashicorp/tls
locals {
  aws_eks_cluster = { issuer = "https://evil.example" }
}

data "tls_certificate" "main" {
  url = local.aws_eks_cluster.issuer
}
