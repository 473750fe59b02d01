"""Frozen nouns, ports, errors and outcomes. Knows nothing else of ours."""
