data "aws_eks_cluster_auth" "x" {}
