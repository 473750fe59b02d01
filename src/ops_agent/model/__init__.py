"""Frozen nouns, ports, errors and outcomes. Imports nothing else of the package."""
