"""Rules over the paths of a change."""
