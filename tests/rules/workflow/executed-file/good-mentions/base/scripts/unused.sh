. infra/README.md
