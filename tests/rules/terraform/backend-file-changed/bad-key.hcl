# at: infra/backend/dev/backend.hcl
bucket       = "acme-dev-state"
key          = "other"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
