"""Who holds an issue, and what a publication must look like."""
