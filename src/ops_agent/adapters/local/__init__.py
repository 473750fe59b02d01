"""A laptop instead of GitHub."""
