"""Terraform plans: read whole, judged for dangers, shown."""
