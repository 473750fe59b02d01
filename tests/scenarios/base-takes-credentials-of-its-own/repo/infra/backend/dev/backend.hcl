bucket       = "drivven-terraform-state-dev"
key          = "orders/terraform.tfstate"
region       = "sa-east-1"
encrypt      = true
use_lockfile = true
profile      = "orders-dev"
