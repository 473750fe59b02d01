"""Where progress and results are told."""
