# allows: hashicorp/tls
data "aws_eks_cluster" "main" {
  name = "main"
}

data "tls_certificate" "main" {
  url = data.aws_eks_cluster.main.identity[0].oidc[0].issuer
}
