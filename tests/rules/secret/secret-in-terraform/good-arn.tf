locals {
  token = "arn:aws:secretsmanager:sa-east-1::secret:x"
}
