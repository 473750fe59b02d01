bucket       = "b"
key          = "k2"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
