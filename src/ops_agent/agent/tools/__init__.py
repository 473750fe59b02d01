"""The agent's tools: typed functions whose docstrings are what the llm reads. There is no shell, no git and no HTTP among them."""
