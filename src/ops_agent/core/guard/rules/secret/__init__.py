"""Rules over secrets in files of any type."""
