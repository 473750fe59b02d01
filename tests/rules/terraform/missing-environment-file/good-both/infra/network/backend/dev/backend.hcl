bucket       = "acme-dev-state"
key          = "network"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
