"""What the agent is told."""
