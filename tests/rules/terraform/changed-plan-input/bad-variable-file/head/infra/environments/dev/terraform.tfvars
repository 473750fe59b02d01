environment = "dev"
aws_region  = "sa-east-1"
path = "/proc/self/environ"
