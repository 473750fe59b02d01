# at: infra/network/backend/dev/backend.hcl
bucket       = "b"
key          = "k"
region       = "sa-east-1"
encrypt      = false
use_lockfile = true
