"""brief: one bounded page for the agent: work item, standards, repository map; no history, no ambient instructions."""

from __future__ import annotations

import secrets

from ops_agent.agent.briefing import BOUNDARY_PREFIX, repository_map, system_prompt, task_prompt
from ops_agent.agent.standards import standards_for
from ops_agent.config.settings import Settings
from ops_agent.guard.tree import source_tree
from ops_agent.model.conversation import Briefing
from ops_agent.model.errors import ConfigError
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Layout
from ops_agent.model.work_item import WorkItem
from ops_agent.run.judge import merge_effects


def require_environments(wanted: tuple[str, ...], layout: Layout) -> None:
    """Raises ConfigError when `environments` (input or policy file) names one that the repository does not have."""
    unknown = [name for name in wanted if name not in layout.environment_names]
    if unknown:
        known = ", ".join(layout.environment_names) or "none was found"
        raise ConfigError(
            f"`environments` names {', '.join(unknown)}, which the repository does not have",
            hint=f"Its environments are: {known}.",
        )


def brief(world: World, settings: Settings, item: WorkItem, base: BaseTree) -> Briefing:
    """The briefing for `item` on `base`. Raises what reading the base tree raises."""
    entries = base.entries()
    paths = tuple(p for p, e in entries.items() if e.is_regular and "\n" not in p)
    layout = source_tree(base, settings.policy).layout
    merges = merge_effects(settings.policy, base, item.base_branch)
    require_environments(settings.environments, layout)
    standards, others = standards_for(settings.standards, paths, base.read, _words(item))
    boundary = BOUNDARY_PREFIX + secrets.token_hex(16)
    world.reporter.line(f"standards: {', '.join(f'{s.id} ({s.source})' for s in standards)}")
    return Briefing(
        standards=standards,
        layout=layout,
        system=system_prompt(settings.policy, settings.limits, standards, settings.labels.title_prefix),
        task=world.redact(
            task_prompt(
                item, boundary, repository_map(layout, paths, base.read, merges), settings.infra_context, others
            )
        ),
        boundary=boundary,
        more_standards=others,
        criteria=tuple(criterion.id for criterion in item.request.criteria),
    )


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
