"""Rules over GitHub Actions workflows."""
