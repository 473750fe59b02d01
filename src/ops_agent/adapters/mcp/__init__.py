"""The team's Confluence behind an MCP server, asked by a process that holds nothing of the run."""
