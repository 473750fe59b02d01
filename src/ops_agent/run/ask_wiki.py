"""Standards from the team's Confluence for one work item, before the llm is asked. A run goes on without them."""

from __future__ import annotations

from ops_agent.agent.standards.confluence import queries, standards_of
from ops_agent.model.conversation import SharedStandards
from ops_agent.model.ports import World
from ops_agent.model.work_item import WorkItem
from ops_agent.run.brief import words_of


def ask_wiki(world: World, spaces: tuple[str, ...], item: WorkItem) -> SharedStandards:
    """What the servers give for `item`, and what could not be had; nothing where none is configured."""
    if world.wiki is None:
        return SharedStandards()
    answer = world.wiki.find(queries(spaces, words_of(item)))
    found = standards_of(answer)
    for server, tools in answer.tools.items():
        if tools:
            world.reporter.line(
                f"MCP server {server}: {', '.join(tools)}; {len(answer.pages)} pages of {', '.join(spaces)}"
            )
    return found
