"""Reading Terraform: syntax, roots and environments, modules and providers."""
