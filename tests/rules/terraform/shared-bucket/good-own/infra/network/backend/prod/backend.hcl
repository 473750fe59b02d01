bucket       = "n-prod"
key          = "k"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
