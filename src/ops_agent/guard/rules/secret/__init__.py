"""Rules over secrets in any text."""
