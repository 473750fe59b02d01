"""Text that leaves: inert, redacted, filled into templates."""
