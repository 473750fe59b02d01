"""brief: one clean, bounded page for the agent: work item, standards, repository map. No history, no ambient instructions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection

from ops_agent.core.briefing.briefing import system_prompt, task_prompt
from ops_agent.core.briefing.briefing_fences import BOUNDARY_PREFIX
from ops_agent.core.briefing.briefing_map import repository_map
from ops_agent.core.briefing.briefing_standards import StandardFile, choose_standards, read_standard, standard_paths
from ops_agent.core.sources.layout import discover_layout
from ops_agent.domain.briefing import Briefing
from ops_agent.domain.outcome import Stopped
from ops_agent.domain.work_item import WorkItem
from ops_agent.ports import BaseTree, World
from ops_agent.prompts import text as prompt
from ops_agent.settings import Settings
from ops_agent.stages.narrow import require_environments
from ops_agent.standards import bundled

MAX_STANDARD_BYTES = 200_000
_ALWAYS_TOUCHED = "infra/main.tf"
"""Every work item is about Terraform, in an empty repository too."""


def brief(world: World, settings: Settings, item: WorkItem, base: BaseTree) -> Briefing | Stopped:
    """The briefing for `item` on `base`. Raises what reading the base tree raises."""
    entries = base.entries()
    paths = tuple(p for p, e in entries.items() if e.is_regular and "\n" not in p)
    layout = discover_layout(paths, base.read, settings.policy)
    require_environments(settings, layout)
    standards, others = choose_standards(_candidates(settings, paths, base.read), (*paths, _ALWAYS_TOUCHED), _words(item))
    boundary = BOUNDARY_PREFIX + secrets.token_hex(16)
    world.reporter.line(f"standards: {', '.join(f'{s.id} ({s.source})' for s in standards)}")
    return Briefing(
        work_item=item,
        standards=standards,
        layout=layout,
        system=system_prompt(prompt("system"), settings.policy, settings.limits, standards, settings.title_prefix),
        task=world.redact(
            task_prompt(prompt("task"), item, boundary, repository_map(layout, paths, base.read), settings.infra_context, others)
        ),
        boundary=boundary,
        more_standards=others,
    )


def _candidates(settings: Settings, paths: Collection[str], read: Callable[[str], bytes]) -> list[StandardFile]:
    """By id: what the caller gives wins over the repository's own, and that over the bundled one."""
    found = {name: read_standard(name, raw, "bundled") for name, raw in bundled().items()}
    for name, path in standard_paths(paths).items():
        found[name] = read_standard(name, _text(read(path)), path)
    for given in _given(settings.standards, paths, read):
        found[given.id] = given
    return list(found.values())


def _given(text: str, paths: Collection[str], read: Callable[[str], bytes]) -> list[StandardFile]:
    """The input `standards`: paths of files on the base commit, one a line, or else text."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    if all(line in paths for line in lines):
        return [read_standard(_id_of(line), _text(read(line)), "input") for line in lines]
    return [read_standard("given-by-the-caller", text, "input")]


def _id_of(path: str) -> str:
    *above, name = path.split("/")
    return above[-1] if name == "RULE.md" and above else name.rsplit(".", 1)[0]


def _text(content: bytes) -> str:
    return content[:MAX_STANDARD_BYTES].decode("utf-8", "replace")


def _words(item: WorkItem) -> str:
    request = item.request
    parts = (
        item.title,
        request.description,
        *request.user_stories,
        *(c.text for c in request.criteria),
        *request.notes,
        *request.assumptions,
    )
    return "\n".join(parts)
