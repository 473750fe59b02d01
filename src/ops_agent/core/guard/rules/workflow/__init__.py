"""Rules over GitHub Actions workflows (group F of the security bar)."""
