"""What code knows of the repository, and of the work beside this item, for the first message: short and bounded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from ops_agent.agent.briefing import plain_name
from ops_agent.guard.tree import SourceTree, workflows_of
from ops_agent.model.event import Issue, PullRequest
from ops_agent.model.terraform import Block, Environment, Expression, ExpressionKind, TerraformSource
from ops_agent.model.work_item import WorkItem

MAX_ROWS: Final = 25
_SMOKE = re.compile(r"\b(smoke|health[ -]?check|healthz?|post[ -]?deploy|verify deployment)\b", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]{3,}")
_BACKTICKED = re.compile(r"`([^`\n]{2,100})`")
_NAMING: Final = ("name", "bucket", "function_name", "identifier", "family", "alarm_name", "table_name")
Facts = Mapping[str, Any]


def repository_facts(tree: SourceTree, words: str, unplanned: Callable[[Environment], str | None]) -> Facts:
    """What the issue names and exists, where each environment is planned, the habits of names and tags, modules from
    outside, and the checks that run after a deployment. `unplanned` says why an environment has no role.
    """
    sources = [(path, source) for path, source in _sources(tree)]
    found = {
        "exists_already": _named(sources, words),
        "plans": _plans(tree, unplanned),
        "names_are_like": _names(sources),
        "tags": _tags(sources),
        "modules_from_outside": _modules(sources),
        "checks_after_deployment": _smoke_tests(tree),
    }
    return {name: fact for name, fact in found.items() if fact}


def work_facts(
    item: WorkItem, siblings: Iterable[Issue], open_: Iterable[tuple[PullRequest, Collection[str]]]
) -> Facts:
    """The parent's sub-issues in their order, and open pull requests with the Terraform and workflow files that they
    change: somebody may be at the same place.
    """
    order = [
        {"issue": str(one.ref), "title": plain_name(one.title), "state": "open" if one.is_open else "closed"}
        | ({"this": True} if one.ref == item.issue.ref else {})
        for one in siblings
    ]
    pulls = [
        {"number": pull.number, "title": plain_name(pull.title), "files": [*map(plain_name, sorted(files)[:MAX_ROWS])]}
        for pull, files in open_
        if files
    ]
    found = {"order_of_the_parent": order[:50], "open_pull_requests": pulls[:MAX_ROWS]}
    return {name: fact for name, fact in found.items() if fact}


def _sources(tree: SourceTree) -> Iterator[tuple[str, TerraformSource]]:
    for path in sorted(tree.paths):
        if path.endswith(".tf") and isinstance(source := tree.terraform(path), TerraformSource):
            yield path, source


def _address(block: Block) -> str:
    match block.type:
        case "resource":
            return ".".join(block.labels)
        case "variable":
            return f"var.{block.label}"
        case "data" | "module" | "output":
            return ".".join((block.type, *block.labels))
    return ""


def _named(sources: Iterable[tuple[str, TerraformSource]], words: str) -> list[str]:
    """Blocks whose address or name is in the issue as code, or whose name's words are all in its text."""
    coded = {one.casefold() for one in _BACKTICKED.findall(words)}
    said = set(_WORD.findall(words.casefold()))
    exact, near = list[str](), list[str]()
    for path, source in sources:
        for block in source.blocks:
            address, name = _address(block), block.labels[-1].casefold() if block.labels else ""
            if not address:
                continue
            place = f"{plain_name(address)} ({plain_name(path)}:{block.line})"
            parts = set(_WORD.findall(name.replace("_", " ").replace("-", " ")))
            if coded & {address.casefold(), name} or any(one in block.text for one in coded if "-" in one):
                exact.append(place)
            elif parts and parts <= said and block.type in ("resource", "module"):
                near.append(place)
    return [*exact, *near][:MAX_ROWS]


def _plans(tree: SourceTree, unplanned: Callable[[Environment], str | None]) -> dict[str, str]:
    """By environment of a root: planned with its account, offline and why, or not at all."""
    found: dict[str, str] = {}
    for root in tree.layout.roots:
        for environment in root.environments:
            why = environment.unsettled or unplanned(environment)
            offline = "never planned" if environment.unsettled else "planned offline"
            found[f"{plain_name(root.path)} ({plain_name(environment.name)})"] = (
                f"{offline}: {why}" if why else "planned with its account"
            )
    return dict([*found.items()][:MAX_ROWS])


def _names(sources: Iterable[tuple[str, TerraformSource]]) -> list[str]:
    """How names of resources begin, the most frequent first: `${local.name_prefix}-...`."""
    starts: Counter[str] = Counter()
    for _, source in sources:
        for block in source.of_type("resource"):
            for attribute in block.attributes:
                parts = attribute.expression.children
                if attribute.name in _NAMING and parts and parts[0].kind is ExpressionKind.REFERENCE:
                    then = str(parts[1].value or "")[:1] if len(parts) > 1 else ""
                    starts[f"${{{_path(parts[0])}}}{then if then in '-_/' else ''}..."] += 1
    return [f"{start} ({count})" for start, count in starts.most_common(3)]


def _path(reference: Expression) -> str:
    return ".".join(str(step) for step in reference.steps if step is not None)


def _tags(sources: Iterable[tuple[str, TerraformSource]]) -> list[str]:
    """What `tags` are set to, and the keys of the maps that are written out."""
    found: Counter[str] = Counter()
    for _, source in sources:
        for block in source.blocks:
            if block.type == "provider" and any(inner.type == "default_tags" for inner in block.blocks):
                found["default_tags of the provider"] += 1
            for attribute in block.attributes if block.type in ("resource", "module") else ():
                if attribute.name == "tags" and attribute.expression.kind is ExpressionKind.REFERENCE:
                    found[f"tags = {_path(attribute.expression)}"] += 1
    return [f"{plain_name(what)} ({count})" for what, count in found.most_common(3)]


def _modules(sources: Iterable[tuple[str, TerraformSource]]) -> list[str]:
    found = (
        f"{block.literal('source')} {block.literal('version') or ''}".strip()
        for _, source in sources
        for block in source.of_type("module")
        if isinstance(block.literal("source"), str) and not str(block.literal("source")).startswith((".", "/"))
    )
    return [plain_name(one) for one in dict.fromkeys(found)][:MAX_ROWS]


def _smoke_tests(tree: SourceTree) -> list[str]:
    found = (
        f"{path}: job {job.id}, {step.name or step.run.strip().splitlines()[0][:80]}"
        for path, workflow in sorted(workflows_of(tree).items())
        for job in workflow.jobs
        for step in job.steps
        if step.run.strip() and _SMOKE.search(f"{job.id} {step.name} {step.run}")
    )
    return [plain_name(one) for one in found][:MAX_ROWS]
