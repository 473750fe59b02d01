# at: infra/network/backend/dev/backend.hcl
bucket       = "b"
key          = "k"
region       = "us-east-1"
encrypt      = true
use_lockfile = true
