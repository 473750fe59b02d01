# at: infra/network/backend/dev/backend.hcl
bucket       = "b-dev"
key          = "n"
region       = "sa-east-1"
encrypt      = true
dynamodb_table = "locks-dev"
