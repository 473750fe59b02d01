"""Floor 0: the frozen nouns of architecture.md's glossary. Standard library typing and dataclasses only."""
