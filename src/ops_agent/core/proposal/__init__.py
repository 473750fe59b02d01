"""The text of the pull request and of the report."""
