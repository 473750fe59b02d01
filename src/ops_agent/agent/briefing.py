"""What the llm sees: the system prompt (who the agent is, and its limits), the task prompt (the work item and a map of
the repository), and findings and checks that go back to it.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ops_agent.model.conversation import Standard
from ops_agent.model.finding import Finding
from ops_agent.model.plan import UNKNOWN, PlanCounts, ResourceAction, ResourceChange
from ops_agent.model.policy import PUBLIC_REGISTRIES, Limits, Policy
from ops_agent.model.terraform import Layout, TerraformRoot, TerraformSource
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.fragments import grouped
from ops_agent.plan.findings import LIFTED_BY
from ops_agent.terraform.hcl_tree_sitter import read_terraform
from ops_agent.terraform.modules import LOCK_FILE, read_lock_file
from ops_agent.text.templates import fill
from ops_agent.workflows.merging import MergeEffect

MAX_FILES = 150
MAX_NAMES = 40
MAX_DIRECTORIES = 40
MAX_NAME = 200
MAX_FINDINGS = 40
MAX_OUTPUT = 4_000
MAX_RESOURCES = 40
MAX_ATTRIBUTES = 30
MAX_VALUE = 300
_BLOCKS = ("resource", "data", "module", "variable", "output", "provider", "terraform", "locals", "moved")

BOUNDARY_PREFIX = "B"
"""An upper-case letter first: no JSON escape ends with one, so the mark can be escaped inside any JSON text."""


def fenced(boundary: str, material: object) -> str:
    """`material` (what JSON can hold) between two lines with `boundary`, this run's random mark, which is not inside.

    The fence helps the llm to separate material from instructions. It proves nothing: the guard judges what comes out.
    """
    text = json.dumps(material, ensure_ascii=False, indent=None if isinstance(material, str) else 1)
    for line_end in "\u2028\u2029\x85\x7f":
        text = text.replace(line_end, f"\\u{ord(line_end):04x}")
    text = text.replace(boundary, f"\\u{ord(boundary[0]):04x}{boundary[1:]}")
    return f"--- data {boundary}\n{text}\n--- end {boundary}"


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
    workflows_as_patch: bool = False,
    messages: tuple[str, ...] = (),
) -> str:
    """The issue, what the caller adds and the repository map, each in its fence. `workflows_as_patch`: the token may
    not write workflow files. `messages`: what rulesets want of a commit's message.
    """
    return fill(
        "agent/prompts/task.md",
        boundary=boundary,
        item=fenced(boundary, _item(item)),
        context=fenced(boundary, infra_context) if infra_context.strip() else "",
        repository=item.target.full_name,
        base_branch=plain_name(item.base_branch),
        map=fenced(boundary, repository_map),
        workflows_as_patch=workflows_as_patch,
        messages=messages,
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
        "notes": request.notes,
        "assumptions": request.assumptions,
        "references": request.references,
        "comments": item.comments,
    }
    return {name: value for name, value in shown.items() if value}


def repository_map(
    layout: Layout, paths: Collection[str], read: Callable[[str], bytes], merges: Sequence[MergeEffect] = ()
) -> dict[str, Any]:
    """A page that saves the agent a search: roots with environments and locked providers, blocks by Terraform file,
    workflows, and how many other files each directory has. Bounded; names escaped.
    """
    held = _terraform_files(layout, paths)
    counts = Counter(p.split("/")[0] + "/" if "/" in p else p for p in set(paths) - set(held) - set(layout.workflows))
    found: dict[str, Any] = {
        "roots": [_root(r, paths, read) for r in layout.roots[:MAX_DIRECTORIES]],
        "terraform_files": {plain_name(p): _blocks(read(p)) for p in held[:MAX_FILES]},
        "workflows": [plain_name(p) for p in layout.workflows[:MAX_DIRECTORIES]],
        "applied_by": [_effect(effect) for effect in merges[:MAX_DIRECTORIES]],
        "other_files_by_directory": {plain_name(n): c for n, c in sorted(counts.most_common(MAX_DIRECTORIES))},
    }
    if len(held) > MAX_FILES:
        found["not_shown"] = f"{len(held) - MAX_FILES} more Terraform files: use list_files"
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


def findings_material(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Findings as they go back to the llm: file and line, rule, how grave, what and what to do. Those that block come
    first, then new ones; what the base branch has already is not `new`.
    """
    findings = tuple(sorted(findings, key=lambda f: (not f.blocks, f.pre_existing, f.severity)))
    shown = [_finding(f) for f in findings[:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        shown.append({"more": f"{len(findings) - MAX_FINDINGS} further findings"})
    return shown


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "where": str(finding.place) or finding.address,
        "rule": finding.rule,
        "blocks": finding.blocks,
        **({"disputed": True} if finding.disputed else {}),
        "new": not finding.pre_existing,
        "severity": finding.severity.name.lower(),
        "what": finding.what[:1000],
        "remedy": finding.remedy[:500],
    }


def checks_material(checks: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """Checks as they go back to the llm: diagnostics with file and line; what several subjects share is said once.

    With the output of `fmt` (its diff), and where no finding says what is wrong; never of a plan, which holds values.
    """
    same: dict[CheckResult, list[str]] = {}
    for check in checks:
        same.setdefault(replace(check, subject="", seconds=0.0), []).append(plain_name(check.subject))
    return [_check(check, ", ".join(dict.fromkeys(subjects))) for check, subjects in same.items()]


def _check(check: CheckResult, subjects: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"check": check.name, "subject": subjects, "status": str(check.status)}
    if check.findings:
        shown["findings"] = findings_material(check.findings)
    needs_output = check.name == "fmt" or not (check.findings or check.name == "plan")
    if check.output and needs_output and check.status is not CheckStatus.PASSED:
        shown["output"] = check.output[-MAX_OUTPUT:]
    return shown


def plans_material(targets: Sequence[TargetVerification], labels: Collection[str] = ()) -> list[dict[str, Any]]:
    """The plans of each root for the llm: by environment how much changes, then each resource with its action, the
    values that are set and what forces a replacement, then the dangers. What environments share is said once. `labels`
    are those that writers gave the issue.
    """
    roots = grouped((target.target.root.path, target) for target in targets if target.plan is not None)
    room, shown = MAX_RESOURCES, []
    for root, planned in roots.items():
        counts = grouped((_counts(target), plain_name(target.target.environment.name)) for target in planned)
        changes = _changes(planned)
        entry: dict[str, Any] = {
            "root": plain_name(root),
            "environments": {", ".join(names): line for line, names in counts.items()},
        }
        if changes:
            entry["changes"] = changes[:room]
        if changes[room:]:
            entry["not_shown"] = f"{len(changes) - room} more changes"
        if dangers := _dangers(planned, labels):
            entry["dangers"] = dangers
        room = max(0, room - len(changes))
        shown.append(entry)
    return shown


def _counts(target: TargetVerification) -> str:
    if not target.caused and not target.caused_outputs:
        return "no changes"
    return PlanCounts.of(target.caused, target.caused_outputs).line


def _changes(planned: Sequence[TargetVerification]) -> list[dict[str, Any]]:
    """Each resource and output that changes, what destroys first; `set_in` has the values that environments have
    apart.
    """
    rows: dict[tuple[str, ResourceAction, str, tuple[str, ...], str], dict[str, dict[str, Any]]] = {}
    for target in planned:
        name = plain_name(target.target.environment.name)
        for one in target.caused:
            was = one.previous_address or ""
            rows.setdefault((one.address, one.action, was, one.replace_paths, one.why), {})[name] = _values(one)
        for output in target.caused_outputs:
            value = {} if output.after is None else {"value": _value(output.after)}
            rows.setdefault((f"output.{output.name}", output.action, "", (), ""), {})[name] = value
    shown = []
    for (address, action, was, forced, why), by_name in sorted(rows.items(), key=lambda row: not row[0][1].destroys):
        row: dict[str, Any] = {"address": address, "action": action.value}
        first, *others = by_name.values()
        shared = {k: v for k, v in first.items() if all(k in other and other[k] == v for other in others)}
        apart = {name: {k: v for k, v in own.items() if k not in shared} for name, own in by_name.items()}
        facts = {
            "environments": [*by_name] if len(by_name) < len(planned) else [],
            "was": was,
            "forces_replacement": [*forced],
            "why": why[:MAX_VALUE],
            "set": shared,
            "set_in": {name: own for name, own in apart.items() if own},
        }
        shown.append(row | {name: fact for name, fact in facts.items() if fact})
    return shown


def _values(change: ResourceChange) -> dict[str, Any]:
    """The values that an apply would set, bounded. What only the apply makes known is left out where it says nothing:
    an ARN of what is created.
    """
    if change.action is ResourceAction.UPDATE:
        found = {name: change.new.get(name) for name in change.changed_attributes}
    else:
        names = change.changed_attributes if change.old else sorted(change.new)
        values = {name: change.new.get(name) for name in names}
        found = {name: v for name, v in values.items() if v is not UNKNOWN and v not in (None, [], {})}
    shown = {name: _value(value) for name, value in [*found.items()][:MAX_ATTRIBUTES]}
    return shown | ({"...": f"{len(found) - MAX_ATTRIBUTES} more"} if len(found) > MAX_ATTRIBUTES else {})


def _value(value: Any) -> Any:
    """A planned value, as text and cut when it is long; what is hidden is in words already."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return value if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}... ({len(text):,} characters)"


def _dangers(planned: Sequence[TargetVerification], labels: Collection[str]) -> list[dict[str, Any]]:
    found = grouped(
        (danger, plain_name(target.target.environment.name))
        for target in planned
        for danger in (target.plan.dangers if target.plan else ())
    )
    shown = []
    for danger, names in sorted(found.items(), key=lambda one: one[0].severity)[:MAX_FINDINGS]:
        row = _finding(danger)
        del row["new"]
        if len(set(names)) < len(planned):
            row["environments"] = names
        if danger.blocks and (label := LIFTED_BY.get(danger.rule)):
            row["blocks"] = label not in labels
            row["lifted_by"] = label
        shown.append(row)
    return shown
