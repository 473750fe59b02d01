"""Rules over GitHub Actions workflows: security-bar.md group F, mission.md T12, R32, R50-R55, K7, K8."""
