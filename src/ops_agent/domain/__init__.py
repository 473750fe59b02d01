"""Floor 0: the frozen nouns, explained in docs/architecture.md under "Words". Standard library typing and dataclasses only."""
