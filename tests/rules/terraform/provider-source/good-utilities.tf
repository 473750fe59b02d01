terraform {
  required_providers {
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

resource "random_id" "suffix" {
  byte_length = 4
}

resource "null_resource" "ordering" {}

resource "time_rotating" "month" {
  rotation_days = 30
}

resource "tls_self_signed_cert" "internal" {
  private_key_pem       = tls_private_key.internal.private_key_pem
  validity_period_hours = 720
  allowed_uses          = ["server_auth"]
}

resource "tls_private_key" "internal" {
  algorithm = "ED25519"
}

data "archive_file" "code" {
  type        = "zip"
  source_dir  = "${path.module}/code"
  output_path = "${path.module}/code.zip"
}

data "cloudinit_config" "start" {
  part {
    content = "#cloud-config"
  }
}
