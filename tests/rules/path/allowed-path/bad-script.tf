# at: infra/deploy.sh
