"""GitHub's REST and GraphQL API and its event file."""
