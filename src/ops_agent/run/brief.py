"""brief: one clean, bounded page for the agent: work item, standards, repository map. No history, no ambient
instructions.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection

from ops_agent.agent.briefing import (
    BOUNDARY_PREFIX,
    StandardFile,
    choose_standards,
    read_standard,
    repository_map,
    standard_paths,
    system_prompt,
    task_prompt,
)
from ops_agent.agent.prompts import text as prompt
from ops_agent.agent.standards import bundled
from ops_agent.config.policy_file import POLICY_FILE, WIDENING_REMEDY, narrow, read_policy
from ops_agent.config.settings import Settings
from ops_agent.model.briefing import Briefing
from ops_agent.model.errors import ConfigError
from ops_agent.model.ports import BaseTree, World
from ops_agent.model.terraform import Layout
from ops_agent.model.work_item import WorkItem
from ops_agent.terraform.layout import discover_layout

# The policy file of the repository, read from the base commit, over the settings: after this nothing wider is left in
# reach.


def narrow_by_policy_file(settings: Settings, base: BaseTree) -> Settings:
    """`settings` narrowed by `.github/ops-agent.yml` of `base`; as they are when there is no such file.

    Raises ConfigError with every problem of the file: a line that cannot be read, a key that is not known, a limit that
    would widen.
    """
    entry = base.entries().get(POLICY_FILE)
    if entry is None:
        return settings
    if not entry.is_regular:
        raise ConfigError(
            f"{POLICY_FILE} is not a regular file on the base branch",
            hint=f"Replace `{POLICY_FILE}` by a regular file.",
        )
    file, problems = read_policy(base.read(POLICY_FILE))
    if not problems:
        return narrow(settings, file)
    correct = f"Correct `{POLICY_FILE}` on the base branch."
    try:
        narrow(settings, file)
    except ConfigError as widening:
        problems, correct = (*problems, *widening.problems), f"{correct} {WIDENING_REMEDY}"
    raise ConfigError(f"{POLICY_FILE} cannot be used: {'; '.join(problems)}", problems=problems, hint=correct)


def require_environments(settings: Settings, layout: Layout) -> None:
    """Raises ConfigError when the input or the policy file's `environments` names one that the repository does not
    have.
    """
    unknown = [name for name in settings.environments if name not in layout.environment_names]
    if unknown:
        known = ", ".join(layout.environment_names) or "none was found"
        raise ConfigError(
            f"`environments` names {', '.join(unknown)}, which the repository does not have",
            hint=f"Its environments are: {known}.",
        )


MAX_STANDARD_BYTES = 200_000
_ALWAYS_TOUCHED = "infra/main.tf"
"""Every work item is about Terraform, in an empty repository too."""


def brief(world: World, settings: Settings, item: WorkItem, base: BaseTree) -> Briefing:
    """The briefing for `item` on `base`. Raises what reading the base tree raises."""
    entries = base.entries()
    paths = tuple(p for p, e in entries.items() if e.is_regular and "\n" not in p)
    layout = discover_layout(paths, base.read, settings.policy)
    require_environments(settings, layout)
    standards, others = choose_standards(
        _candidates(settings, paths, base.read), (*paths, _ALWAYS_TOUCHED), _words(item)
    )
    boundary = BOUNDARY_PREFIX + secrets.token_hex(16)
    world.reporter.line(f"standards: {', '.join(f'{s.id} ({s.source})' for s in standards)}")
    return Briefing(
        standards=standards,
        layout=layout,
        system=system_prompt(
            prompt("system"), settings.policy, settings.limits, standards, settings.labels.title_prefix
        ),
        task=world.redact(
            task_prompt(
                prompt("task"), item, boundary, repository_map(layout, paths, base.read), settings.infra_context, others
            )
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
