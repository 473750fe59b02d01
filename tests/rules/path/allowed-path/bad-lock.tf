# at: infra/.terraform.lock.hcl
