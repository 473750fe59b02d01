"""brief: one bounded page for the agent: work item, standards, repository map; no history, no ambient instructions."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from ops_agent.agent.briefing import BOUNDARY_PREFIX, repository_map, system_prompt, task_prompt
from ops_agent.agent.code import code_in_view
from ops_agent.agent.facts import Facts, repository_facts, work_facts
from ops_agent.agent.pitfalls import pitfalls_of_text
from ops_agent.agent.standards import standards_for
from ops_agent.config.settings import Settings
from ops_agent.guard.paths import is_workflow
from ops_agent.guard.tree import source_tree
from ops_agent.model.conversation import Briefing, SharedStandards
from ops_agent.model.errors import ConfigError, GitHubError, NotPermitted
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import BaseTree, TokenAbilities, World
from ops_agent.model.terraform import Layout
from ops_agent.model.work_item import WorkItem
from ops_agent.run.branch_rules import NO_RULES, REMEDY, BranchRules
from ops_agent.run.judge import merge_effects
from ops_agent.terraform.modules import is_configuration

_MOST_PULL_REQUESTS = 15


def require_environments(wanted: tuple[str, ...], layout: Layout) -> None:
    """Raises ConfigError when `environments` (input or policy file) names one that the repository does not have."""
    unknown = [name for name in wanted if name not in layout.environment_names]
    if unknown:
        known = ", ".join(layout.environment_names) or "none was found"
        raise ConfigError(
            f"`environments` names {', '.join(unknown)}, which the repository does not have",
            hint=f"Its environments are: {known}.",
        )


def token_trouble(settings: Settings, abilities: TokenAbilities, rules: BranchRules = NO_RULES) -> Stopped | None:
    """Why nothing could be published in the end, with what to do; None when the token surely lacks nothing that every
    run needs, and no ruleset is surely in the way. Workflow files are no such thing: without the right to write them
    they become a patch.
    """
    lacking = [
        words
        for may, words in (
            (abilities.contents, "write branches (`contents: write`)"),
            (abilities.pull_requests, "open pull requests (`pull-requests: write`)"),
        )
        if may is False
    ]
    if settings.dry_run:
        return None
    if not lacking and rules.refused:
        reason = f"{' '.join(rules.refused)} So no work could be published. The llm was not asked."
        return Stopped(Conclusion.NOT_PERMITTED, reason, f"{REMEDY} Then start the run again.")
    if not lacking:
        return None
    reason = f"The token may not {' or '.join(lacking)}, so no work could be published. The llm was not asked."
    return Stopped(Conclusion.NOT_PERMITTED, reason, NotPermitted.default_hint)


def brief(
    world: World,
    settings: Settings,
    item: WorkItem,
    base: BaseTree,
    abilities: TokenAbilities | None = None,
    messages: tuple[str, ...] = (),
    shared: Sequence[SharedStandards] = (),
) -> Briefing:
    """The briefing for `item` on `base`, with what the token cannot do and what rulesets want of commit `messages`.
    `shared` are standards from outside of the repository; of one id the first source counts.
    Raises what reading the base tree raises.
    """
    entries, sources = base.entries(), source_tree(base, settings.policy)
    paths = tuple(p for p, e in entries.items() if e.is_regular and "\n" not in p)
    layout = sources.layout
    merges = merge_effects(settings.policy, base, item.base_branch)
    require_environments(settings.environments, layout)
    standards, others = standards_for(settings.standards, paths, base.read, words_of(item), shared)
    pitfalls = pitfalls_of_text(words_of(item))
    facts = {**repository_facts(sources, words_of(item), world.cloud.unplanned_reason), **_work(world, settings, item)}
    code = code_in_view(layout, paths, base.read, words_of(item), merges)
    boundary = BOUNDARY_PREFIX + secrets.token_hex(16)
    world.reporter.line(f"standards: {', '.join(f'{s.id} ({s.source})' for s in standards)}")
    unavailable = tuple(sentence for source in shared for sentence in source.unavailable)
    for sentence in unavailable:
        world.reporter.annotate("warning", sentence)
    return Briefing(
        standards=standards,
        unavailable=unavailable,
        pitfalls=tuple(one.id for one in pitfalls),
        layout=layout,
        system=system_prompt(
            settings.policy,
            settings.limits,
            tuple(s for s in standards if not s.is_material),
            settings.labels.title_prefix,
        ),
        task=world.redact(
            task_prompt(
                item,
                boundary,
                repository_map(layout, paths, base.read, merges, code.paths) | facts,
                settings.infra_context,
                others,
                pitfalls=tuple(one.line for one in pitfalls),
                workflows_as_patch=abilities is not None and abilities.workflows is False,
                messages=messages,
                pages=tuple(s for s in standards if s.is_material),
                code=code.files,
                left=code.left,
            )
        ),
        boundary=boundary,
        more_standards=others,
        criteria=tuple(criterion.id for criterion in item.request.criteria),
        labels_by_writers=item.labels_by_writers,
    )


def _work(world: World, settings: Settings, item: WorkItem) -> Facts:
    """The work beside this item, asked for before the llm is paid. A failure is a warning: the run goes on without.

    One request for the open pull requests, one for each of the newest, and one for the sub-issues of a parent.
    """
    try:
        repository, mine = item.target.full_name, f"{settings.branch_prefix}{item.issue.ref.number}"
        others = [p for p in world.pull_requests.open_with_prefix(repository, "") if p.head_branch != mine]
        touched = [
            (pull, [path for path in world.pull_requests.files(repository, pull.number) if _counts(path)])
            for pull in others[:_MOST_PULL_REQUESTS]
        ]
        siblings = world.issues.sub_issues(item.parent) if item.parent is not None else ()
        return work_facts(item, siblings, touched)
    except GitHubError as error:
        world.reporter.annotate("warning", f"What else is under way could not be found out: {error}")
        return {}


def _counts(path: str) -> bool:
    return is_configuration(path) or path.endswith((".tfvars", ".hcl")) or is_workflow(path)


def words_of(item: WorkItem) -> str:
    """What the work item says, as far as people wrote it for the work."""
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
