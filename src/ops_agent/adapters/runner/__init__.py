"""Where a run reports: a GitHub Actions job or a terminal."""
