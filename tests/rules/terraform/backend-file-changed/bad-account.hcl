# at: infra/backend/dev/backend.hcl
bucket       = "acme-dev-state"
key          = "orders"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
role_arn = "x"
