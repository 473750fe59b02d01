"""From an event and people's text to an admitted work item."""
