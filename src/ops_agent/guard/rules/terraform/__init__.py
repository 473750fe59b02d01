"""Rules over Terraform."""
