"""Terraform, workflows and the policy file as our own types, and where they stand."""
