# at: infra/network/backend/dev/backend.hcl
bucket       = "b"
key          = "${x}"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
