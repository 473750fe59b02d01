"""What goes back to the llm: findings, checks and plans, bounded, as values that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import unified_diff
from typing import Any

from ops_agent.agent.briefing import plain_name
from ops_agent.guard.disputes import is_disputable
from ops_agent.model.finding import Finding
from ops_agent.model.plan import UNKNOWN, PlanCounts, ResourceAction, ResourceChange
from ops_agent.model.verification import CheckResult, CheckStatus, TargetVerification
from ops_agent.pages.fragments import grouped
from ops_agent.plan.findings import LIFTED_BY
from ops_agent.plan.masking import parsed_json

MAX_FINDINGS = 40
MAX_OUTPUT = 4_000
MAX_RESOURCES = 40
MAX_ATTRIBUTES = 30
MAX_VALUE = 300
MAX_DOCUMENT = 3_000
MAX_DIFFED = 60_000
MAX_DIFF_LINES = 60


def findings_material(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Findings as they go back to the llm: file and line, rule, how grave, what and what to do. Those that block come
    first, then new ones; what the base branch has already is not `new`.
    """
    findings = tuple(sorted(findings, key=_by_weight))
    shown = [_finding(f) for f in findings[:MAX_FINDINGS]]
    if len(findings) > MAX_FINDINGS:
        shown.append({"more": f"{len(findings) - MAX_FINDINGS} further findings"})
    return shown


def _by_weight(finding: Finding) -> tuple[Any, ...]:
    return not finding.blocks, finding.pre_existing, finding.severity, finding.place, finding.address, finding.rule


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "where": str(finding.place) or finding.address,
        "rule": finding.rule,
        "blocks": finding.blocks,
        **({"disputed": True} if finding.disputed else {}),
        **({"disputable": True} if finding.blocks and is_disputable(finding) else {}),
        "new": not finding.pre_existing,
        "severity": finding.severity.name.lower(),
        "what": _cut(finding.what, 1_000),
        "remedy": _cut(finding.remedy, 500),
    }


def _cut(text: str, limit: int) -> str:
    """`text`, cut between words when it is longer."""
    if len(text) <= limit:
        return text
    kept = text[:limit].rsplit(maxsplit=1)[0] if " " in text[limit // 2 : limit] else text[:limit]
    return f"{kept}... ({len(text):,} characters)"


def advice_material(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings that do not block, by rule: what to do is said once."""
    rules = grouped(((one.rule, one.remedy), one) for one in sorted(findings, key=_by_weight))
    return [
        {
            "rule": rule,
            "remedy": _cut(remedy, 500),
            "found": [_cut(f"{one.address or one.place}: {one.what}", 300) for one in same[:MAX_FINDINGS]],
        }
        for (rule, remedy), same in rules.items()
    ]


def checks_material(checks: Iterable[CheckResult], *, on_base: bool = False) -> list[dict[str, Any]]:
    """Checks as they go back to the llm: diagnostics with file and line; what several subjects share is said once.

    With the output of `fmt` (its diff), and where no finding says what is wrong; never of a plan, which holds values.
    `on_base`: the checks are of the base, so nothing of it is new.
    """
    if on_base:
        checks = (replace(c, findings=tuple(replace(f, pre_existing=True) for f in c.findings)) for c in checks)
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
        tail = check.output[-MAX_OUTPUT:]
        shown["output"] = tail if tail == check.output else "...\n" + tail.partition("\n")[2]
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
    an ARN of what is created. Of `tags_all` only what `tags` has not.
    """
    old = change.old or {}
    if change.action is ResourceAction.UPDATE:
        found = {name: change.new.get(name) for name in change.changed_attributes}
    else:
        names = change.changed_attributes if change.old else sorted(change.new)
        values = {name: change.new.get(name) for name in names}
        found = {name: v for name, v in values.items() if v is not UNKNOWN and v not in (None, [], {})}
    tags, of_all = found.get("tags"), found.get("tags_all")
    if isinstance(of_all, dict) and isinstance(tags, dict):
        found["tags_all"] = {name: value for name, value in of_all.items() if tags.get(name) != value}
        if not found["tags_all"]:
            del found["tags_all"]
    shown = {name: _value(value, old.get(name)) for name, value in [*found.items()][:MAX_ATTRIBUTES]}
    return shown | ({"...": f"{len(found) - MAX_ATTRIBUTES} more"} if len(found) > MAX_ATTRIBUTES else {})


def _value(value: Any, old: Any = None) -> Any:
    """A planned value; what is hidden is in words already. A long text is shown as what changes in it, line by line; a
    new one whole where it is JSON; cut when it is longer still.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(text) <= MAX_VALUE:
        return value
    document = _document(value)
    if isinstance(old, str) and isinstance(value, str) and len(text) + len(old) < MAX_DIFFED:
        was = _document(old)
        before, after = (
            ([*_lines(was)], [*_lines(document)]) if was and document else (old.split("\n"), text.split("\n"))
        )
        found = [line for line in [*unified_diff(before, after, n=0, lineterm="")][2:] if not line.startswith("@@")]
        if found:
            more = [f"... {len(found) - MAX_DIFF_LINES} more"] if len(found) > MAX_DIFF_LINES else []
            return {"changes_in_it": [_cut(line, MAX_VALUE) for line in found[:MAX_DIFF_LINES]] + more}
    return document if document and len(text) <= MAX_DOCUMENT else _cut(text, MAX_DOCUMENT if document else MAX_VALUE)


def _document(value: Any) -> Any:
    """The JSON in a text (a policy, a definition); None when there is none."""
    found = parsed_json(value)
    return found if isinstance(found, dict | list) else None


def _lines(document: Any, path: str = "") -> Iterator[str]:
    """`Statement[AllowPublish].Action: sns:Publish`: one line for each value of a document."""
    if isinstance(document, dict):
        for name, value in sorted(document.items()):
            yield from _lines(value, f"{path}.{name}" if path else name)
    elif isinstance(document, list):
        for number, value in enumerate(document):
            inner = isinstance(value, dict | list)
            name = value.get("Sid") or value.get("Id") if isinstance(value, dict) else None
            yield from _lines(value, f"{path}[{name or number}]" if inner else path)
    else:
        yield f"{path}: {document}"


def _dangers(planned: Sequence[TargetVerification], labels: Collection[str]) -> list[dict[str, Any]]:
    found = grouped(
        (danger, plain_name(target.target.environment.name))
        for target in planned
        for danger in (target.plan.dangers if target.plan else ())
    )
    shown = []
    for danger, names in sorted(found.items(), key=lambda one: _by_weight(one[0]))[:MAX_FINDINGS]:
        row = _finding(danger)
        del row["new"]
        if len(set(names)) < len(planned):
            row["environments"] = names
        if danger.blocks and (label := LIFTED_BY.get(danger.rule)):
            row["blocks"] = label not in labels
            row["lifted_by"] = label
        shown.append(row)
    return shown
