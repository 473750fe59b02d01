"""Rules over Terraform files: nothing unlisted runs, only the region and the accounts of the policy, the team's conventions."""
