bucket       = "b"
key          = "k1"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
