"""Terraform in a sandbox.

From the port down:

- `terraform_cli`: all Terraform of one run (`ports.Terraform`); `workspace`: one target's init, validate and plan, with
  `placeholders` (values that are not given) and `diagnostics` (what was printed, as findings). `offline_plan`: plans
  of a root's targets without an account.
- `providers`: where providers come from. `module_fetch`: modules from outside, with `module_hosts` (tokens and
  registries) and `module_store` (what is kept of a fetch and given to cells).
- `engine`: which Terraform, and how it ended; `commands`: the closed list of what it is asked.
- `sandbox`: runs one command in a cell. `cells`: directories and user ids; `confinement` and `sandbox_child`: what the
  kernel holds; `reach` and `egress`: which hosts, and the only way there; `processes`: one child to its end.
"""
