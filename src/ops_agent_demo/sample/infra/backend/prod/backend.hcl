bucket       = "drivven-terraform-state-prod"
key          = "orders/terraform.tfstate"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
