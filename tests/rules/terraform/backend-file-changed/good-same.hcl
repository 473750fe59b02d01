# at: infra/backend/dev/backend.hcl
# The state of dev.
bucket       = "acme-dev-state"
key          = "orders"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
