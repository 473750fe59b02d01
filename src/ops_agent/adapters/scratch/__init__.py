"""The scratch tree on disk."""
