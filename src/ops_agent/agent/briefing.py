"""What the llm sees: the system prompt (who the agent is, and its limits), the task prompt (the work item and a map of
the repository).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ops_agent.model.conversation import Standard
from ops_agent.model.policy import PUBLIC_REGISTRIES, Limits, Policy
from ops_agent.model.terraform import Layout, TerraformRoot, TerraformSource
from ops_agent.model.work_item import WorkItem
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.modules import LOCK_FILE, read_lock_file
from ops_agent.text.templates import fill
from ops_agent.workflows.merging import MergeEffect

MAX_FILES = 150
MAX_NAMES = 40
MAX_DIRECTORIES = 40
MAX_NAME = 200
_BLOCKS = ("resource", "data", "module", "variable", "output", "provider", "terraform", "locals", "moved")

BOUNDARY_PREFIX = "B"
"""An upper-case letter first: no JSON escape ends with one, so the mark can be escaped inside any JSON text."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def fenced(boundary: str, material: object) -> str:
    """`material` (what JSON can hold) between two lines with `boundary`, this run's random mark, which is not inside.

    The fence helps the llm to separate material from instructions. It proves nothing: the guard judges what comes out.
    """
    text = json.dumps(material, ensure_ascii=False, indent=None if isinstance(material, str) else 1)
    for line_end in "\u2028\u2029\x85\x7f":
        text = text.replace(line_end, f"\\u{ord(line_end):04x}")
    text = text.replace(boundary, _escaped(boundary))
    return f"--- data {boundary}\n{text}\n--- end {boundary}"


def fenced_text(boundary: str, heading: str, text: str) -> str:
    """`text` as it is, in a fence of its own: as JSON code is half as long again. `heading` stands beside the mark.

    The mark and control characters, all line ends but `\\n` among them, are escaped, so that no line can be forged.
    """
    heading, text = (
        _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", one).replace(boundary, _escaped(boundary))
        for one in (" ".join(heading.split()), text)
    )
    line_end = "" if not text or text.endswith("\n") else "\n"
    return f"--- data {boundary} {heading}\n{text}{line_end}--- end {boundary}"


def _escaped(boundary: str) -> str:
    return f"\\u{ord(boundary[0]):04x}{boundary[1:]}"


def plain_name(text: str) -> str:
    """A file or branch name with everything that cannot be seen escaped, cut at 200 characters."""
    seen = "".join(
        c if c == " " or (c.isprintable() and unicodedata.category(c)[0] != "Z") else f"\\u{ord(c):04x}" for c in text
    )
    return seen if len(seen) <= MAX_NAME else seen[:MAX_NAME] + "…"


def system_prompt(policy: Policy, limits: Limits, standards: tuple[Standard, ...], title_prefix: str) -> str:
    """The same for every run in a repository, so that it is cached; it contains no part of the issue."""
    return fill(
        "agent/prompts/system.md",
        title_prefix=title_prefix,
        region=policy.region,
        accounts=tuple(policy.accounts.items()),
        providers=_listed(tuple(dict.fromkeys(_short(address) for address in policy.allowed_providers))),
        modules=_listed(policy.allowed_modules),
        workflows=policy.allow_workflow_files,
        closed=_listed((*policy.closed_paths, *policy.ruleset_paths)),
        uses=_listed(policy.allowed_uses),
        runners=_listed(policy.allowed_runners),
        repair_rounds=limits.max_repair_rounds,
        calls_per_turn=limits.max_tool_calls_per_turn,
        max_files=limits.max_files,
        max_file_bytes=f"{limits.max_file_bytes:,}",
        standards=standards,
    )


def _short(provider: str) -> str:
    """A provider's address without its registry, where everybody knows that one."""
    host, _, name = provider.partition("/")
    return name if host in PUBLIC_REGISTRIES else provider


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def task_prompt(
    item: WorkItem,
    boundary: str,
    repository_map: dict[str, Any],
    infra_context: str,
    others: tuple[Standard, ...],
    *,
    pitfalls: tuple[str, ...] = (),
    workflows_as_patch: bool = False,
    messages: tuple[str, ...] = (),
    pages: tuple[Standard, ...] = (),
    code: Sequence[tuple[str, str]] = (),
    left: int = 0,
) -> str:
    """The issue, what the caller adds, the repository map and the `code` in view (heading and text; `left` more files
    are not), each in its fence. `workflows_as_patch`: the token may not write workflow files. `messages`: what rulesets
    want of a commit's message. `pages`: standards that are material.
    """
    return fill(
        "agent/prompts/task.md",
        boundary=boundary,
        item=fenced(boundary, _item(item)),
        context=fenced(boundary, infra_context) if infra_context.strip() else "",
        repository=item.target.full_name,
        base_branch=plain_name(item.base_branch),
        map=fenced(boundary, repository_map),
        code="\n".join(fenced_text(boundary, heading, text) for heading, text in code),
        not_shown=left,
        pitfalls=pitfalls,
        workflows_as_patch=workflows_as_patch,
        messages=messages,
        pages=tuple(fenced_text(boundary, s.id, f"{s.source}\n\n{s.text}") for s in pages),
        issue=str(item.issue.ref),
        others=tuple((plain_name(s.id), plain_name(s.description)) for s in others),
    )


def _item(item: WorkItem) -> dict[str, Any]:
    request = item.request
    shown: dict[str, Any] = {
        "issue": str(item.issue.ref),
        "title": item.title,
        "parent": str(item.parent) if item.parent else None,
        "description": request.description,
        "user_stories": request.user_stories,
        "acceptance_criteria": [{"id": c.id, "text": c.text, "done": c.done} for c in request.criteria],
        "beside_the_criteria_and_no_criterion": request.beside_criteria,
        "notes": request.notes,
        "assumptions": request.assumptions,
        "references": request.references,
        "comments": item.comments,
    }
    return {name: value for name, value in shown.items() if value}


def repository_map(
    layout: Layout,
    paths: Collection[str],
    read: Callable[[str], bytes],
    merges: Sequence[MergeEffect] = (),
    shown: Collection[str] = (),
) -> dict[str, Any]:
    """A page that saves the agent a search: roots with environments and locked providers, blocks by Terraform file,
    workflows, and how many other files each directory has. Bounded; names escaped. Files `shown` whole are not listed.
    """
    held = [path for path in _terraform_files(layout, paths) if path not in shown]
    workflows = [path for path in layout.workflows if path not in shown]
    others = set(paths) - set(held) - set(workflows) - set(shown)
    counts = Counter(p.split("/")[0] + "/" if "/" in p else p for p in others)
    found: dict[str, Any] = {
        "roots": [_root(r, paths, read) for r in layout.roots[:MAX_DIRECTORIES]],
        "terraform_files": {plain_name(p): _blocks(read(p)) for p in held[:MAX_FILES]},
        "workflows": [plain_name(p) for p in workflows[:MAX_DIRECTORIES]],
        "applied_by": [_effect(effect) for effect in merges[:MAX_DIRECTORIES]],
        "other_files_by_directory": {plain_name(n): c for n, c in sorted(counts.most_common(MAX_DIRECTORIES))},
    }
    if len(held) > MAX_FILES:
        found["not_shown"] = f"{len(held) - MAX_FILES} more Terraform files: use `list`"
    return found


def _effect(effect: MergeEffect) -> dict[str, Any]:
    """A job that applies Terraform: what, where, and whether a merge starts it."""
    shown = {
        "workflow": plain_name(effect.workflow),
        "job": plain_name(effect.job),
        "root": plain_name(effect.root) or "cannot tell",
        "environment": plain_name(effect.environment) or "cannot tell",
        "started_by": "merging the pull request" if effect.on_merge else effect.event,
        **({"destroys": True} if effect.destroys else {}),
    }
    doubt = {"cannot_tell": f"what {plain_name(effect.unread)} does"} if effect.unread else {}
    return shown if effect.certain else shown | {"certain": False} | doubt


def _root(root: TerraformRoot, paths: Collection[str], read: Callable[[str], bytes]) -> dict[str, Any]:
    environments = {
        plain_name(e.name): {
            "account": e.account,
            "backend_file": e.backend_file and plain_name(e.backend_file),
            "var_files": [plain_name(v) for v in e.var_files],
            **({"never_planned": e.unsettled} if e.unsettled else {}),
        }
        for e in root.environments
    }
    modules = [plain_name(m) for m in root.local_modules]
    shown = {"path": plain_name(root.path), "environments": environments, "local_modules": modules}
    lock_file = f"{root.path}/{LOCK_FILE}".removeprefix("./")
    locked = read_lock_file(read(lock_file)) if lock_file in paths else ()
    providers = [plain_name(f"{one.address.rpartition('/')[2]} {one.version}") for one in locked]
    return shown | {"locked_providers": providers[:MAX_NAMES]} if providers else shown


def _terraform_files(layout: Layout, paths: Collection[str]) -> list[str]:
    """Those of the roots first, then of their modules, then all others."""
    modules = [m for r in layout.roots for m in r.local_modules]
    order = {directory: n for n, directory in enumerate([r.path for r in layout.roots] + modules)}
    held = [p for p in paths if p.endswith(".tf")]
    return sorted(held, key=lambda p: (order.get(p.rpartition("/")[0] or ".", len(order)), p))


def _blocks(content: bytes) -> str:
    source = read_terraform(content)
    if not isinstance(source, TerraformSource):
        return "cannot be read"
    names = [f"{b.type} {'.'.join(b.labels)}".strip() for b in source.blocks if b.type in _BLOCKS]
    more = f", and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(plain_name(n) for n in names[:MAX_NAMES]) + more
