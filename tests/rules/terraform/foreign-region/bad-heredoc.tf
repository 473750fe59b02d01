locals {
  x = <<EOT
  region: us-gov-west-1
EOT
}
