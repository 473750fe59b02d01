"""Rules over the paths and the size of a change."""
