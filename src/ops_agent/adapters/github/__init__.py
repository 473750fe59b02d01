"""The GitHub API behind our ports."""
