# at: infra/network/backend/dev/backend.hcl
bucket       = "acme-network-dev"
key          = "network"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
