"""Terraform in a sandbox."""
