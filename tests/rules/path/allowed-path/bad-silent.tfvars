# at: infra/x.auto.tfvars
