"""Rules over what zizmor and actionlint report: which of it blocks, and what to do about it (guard/data/audits.yml)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from ops_agent.guard.data import records
from ops_agent.guard.rule import LintedWorkflow, Rule, WorkflowFile, hit
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.workflow import Job, LintEntry
from ops_agent.workflows.expressions import parts_of

_SEVERITIES = ("informational", "low", "medium", "high")
_AUDITS = records("audits")
# Their findings depend on facts outside of the repository: who can fill a cache, and what an app's key is for.
_ONLY_NOTED = frozenset({"cache-poisoning", "github-app"})
_INJECTION = "zizmor/template-injection"
_MAX_LINE_CHARACTERS = 2_000
_HARMLESS = re.compile(r"\s*github\.(?:run_id|run_number|run_attempt|sha|repository|repository_owner|event_name)\s*")


def _findings(rule: str, linted: LintedWorkflow) -> Iterator[Finding]:
    harmless = _harmless_variables(linted.file) if rule in (_INJECTION, "zizmor/note") else frozenset[str]()
    for entry in linted.entries:
        own = _rule_of(entry)
        if own == _INJECTION and rule in (_INJECTION, "zizmor/note") and _is_harmless(entry, harmless):
            own = "zizmor/note"
        if own == rule:
            job = _job_of(entry, linted.file)
            under = linted.file.circumstances(job) if linted.file is not None else frozenset[str]()
            under -= {"environment of none"}  # it has no secrets and no rights of an environment
            shown = f"{entry.says} ({_SEVERITIES[entry.severity]})" if entry.tool == "zizmor" else entry.says
            page = f"; {entry.url}" if rule in ("zizmor/audit", "zizmor/note") and entry.url else ""
            anchor = f"{linted.path} {entry.kind} {_subject(entry, job)}"
            what = f"{shown}{page}"
            yield hit(path=linted.path, line=entry.line, what=what, anchor=anchor, under=under, excuses_all=True)


def _rule_of(entry: LintEntry) -> str:
    """The rule that an entry belongs to; empty when another rule answers the same question."""
    if entry.tool == "actionlint" and entry.kind == "runner-label":
        return ""  # workflow/self-hosted-runner
    if entry.tool == "actionlint":
        return "actionlint/note" if re.search(r"\b(deprecated|retired)\b", entry.says) else "actionlint/error"
    if entry.kind == "excessive-permissions" and "permissions" in entry.route:
        return ""  # workflow/wide-permissions
    rule = f"zizmor/{entry.kind}" if f"zizmor/{entry.kind}" in _AUDITS else "zizmor/audit"
    blocks = entry.severity >= _SEVERITIES.index(_AUDITS[rule]["blocks from"])
    return rule if blocks and entry.kind not in _ONLY_NOTED else "zizmor/note"


def _harmless_variables(file: WorkflowFile | None) -> frozenset[str]:
    """Variables of the workflow that are made only of text and of values that GitHub sets."""
    values = [(t.path[-1], t.text) for t in (file.workflow.texts if file else ()) if t.path[-2:-1] == ("env",)]
    parts = [(name, part) for name, value in values for part in parts_of(value) if part.is_expression]
    chosen = {name for name, part in parts if not part.closed or not _HARMLESS.fullmatch(part.text)}
    return frozenset(name for name, _ in values) - chosen


def _is_harmless(entry: LintEntry, harmless: frozenset[str]) -> bool:
    """zizmor calls a variable in a script low, whatever expression it is made of."""
    if _SEVERITIES[entry.severity] != "low" or len(entry.text) > _MAX_LINE_CHARACTERS:
        return False
    names = set(re.findall(r"\benv\.(\w+)", entry.text))
    return bool(names) and names <= harmless


def _job_of(entry: LintEntry, file: WorkflowFile | None) -> Job | None:
    if file is None:
        return None
    if entry.route[:1] == ("jobs",) and len(entry.route) > 1:
        return file.job(entry.route[1])
    return next((j for j in reversed(file.workflow.jobs) if 0 < j.line <= entry.line), None)


def _subject(entry: LintEntry, job: Job | None) -> str:
    """What else must be equal in two findings of a file that are the same: mostly the text of the line."""
    if entry.kind == "unpinned-uses":
        return entry.text.partition("@")[0].rpartition("uses")[2]  # another tag of the same action is no other finding
    if entry.kind in ("excessive-permissions", "secrets-inherit"):
        return job.id if job else ""
    if entry.kind == "unreadable":
        return ""
    # actionlint gives the line of `run: |`, and lists what exists in braces.
    return f"{entry.says.partition('{')[0] if entry.tool == 'actionlint' else ''} {entry.text}"


LINTER_RULES: tuple[Rule, ...] = tuple(
    Rule(
        id=name,
        title=row["title"],
        reason=row["reason"],
        remedy=row["remedy"],
        severity=Severity.NOTICE if row["blocks from"] == "never" else Severity.BLOCKS,
        subject=LintedWorkflow,
        function=partial(_findings, name),
        disputable=row.get("disputable") == "yes",
    )
    for name, row in _AUDITS.items()
)
