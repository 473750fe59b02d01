"""The conversation with the language model: loop, tools, briefing."""
