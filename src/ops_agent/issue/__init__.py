"""From an issue to a work item: who asked, what exactly, is it ready."""
