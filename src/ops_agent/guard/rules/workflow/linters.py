"""Rules over what zizmor and actionlint report: which of it blocks, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ops_agent.guard.rule import LintedWorkflow, Rule, WorkflowFile, hit
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.workflow import Job, LintEntry
from ops_agent.workflows.expressions import parts_of

_WORDS = ("informational", "low", "medium", "high")
_ANY, _LOW, _MEDIUM, _HIGH = range(4)


@dataclass(frozen=True, slots=True)
class _Audit:
    """An audit of zizmor, and from which severity on it blocks; below that it is `zizmor/note`."""

    id: str
    blocks_from: int
    title: str
    reason: str
    remedy: str


_AUDITS = (
    _Audit(
        "template-injection",
        _LOW,
        "An expression that others can influence is pasted into a script",
        "`${{ }}` is replaced before the shell reads the script: a title, a branch name or an input becomes a command.",
        'Pass the value by `env:` and use `"$NAME"` in the script.',
    ),
    _Audit(
        "unpinned-uses",
        _ANY,
        "An action is not pinned to a commit",
        "A tag or branch can be moved to other code. ops-agent replaces the tag of an allowed action by its commit, on "
        "lines that the change writes.",
        "Write the tag (`actions/checkout@v4`) of an action of `allowed_uses`; ops-agent pins it to its commit.",
    ),
    _Audit(
        "excessive-permissions",
        _ANY,
        "A workflow or job has no `permissions`",
        "Without `permissions` the repository's default holds, which may be everything.",
        "Write `permissions: {}` at the top and `permissions: { contents: read }` in the job that checks out.",
    ),
    _Audit(
        "secrets-inherit",
        _ANY,
        "A called workflow gets all secrets (`secrets: inherit`)",
        "Everything that the called workflow runs can read every secret of the repository.",
        "Name each secret that the called workflow needs under `secrets:`; the policy must allow it.",
    ),
    _Audit(
        "artipacked",
        _HIGH,
        "The checkout's token leaves in an artifact",
        "`actions/checkout` keeps the job's token in `.git/config`, and a later step uploads that directory.",
        "Give `actions/checkout` the input `persist-credentials: false`.",
    ),
    _Audit(
        "obfuscation",
        _ANY,
        "An expression or path hides what runs",
        "A constant expression or a path such as `a/../b` says in other words what could be written plainly.",
        "Write the value itself.",
    ),
    _Audit(
        "unsound-condition",
        _ANY,
        "An `if` is always true",
        "Text around `${{ }}`, be it a line end, makes the whole condition a text, and a text is true.",
        "Write `if:` on one line, without `${{ }}`.",
    ),
    _Audit(
        "unsound-contains",
        _ANY,
        "A condition with `contains` matches more than it says",
        "`contains('refs/heads/main refs/heads/dev', github.ref)` is true for every part of that text.",
        "Compare with `==`, or use `contains(fromJSON('[...]'), ...)`.",
    ),
    _Audit(
        "bot-conditions",
        _ANY,
        "A condition trusts `github.actor` to be a bot",
        "The actor is who caused the last event, not who wrote the code: another's commit can ride along.",
        "Compare the event's own author, for example `github.event.pull_request.user.login`.",
    ),
    _Audit(
        "github-env",
        _ANY,
        "A script writes to `GITHUB_ENV` in a workflow that others can start",
        "Whoever influences the value sets any variable of the later steps.",
        "Write to `$GITHUB_OUTPUT` of the step instead.",
    ),
    _Audit(
        "hardcoded-container-credentials",
        _ANY,
        "A container's password is written into the workflow",
        "Everybody who can read the repository can use it.",
        "Use a secret that the policy allows.",
    ),
    _Audit(
        "unredacted-secrets",
        _ANY,
        "A part of a secret is used, which GitHub does not mask",
        "Logs are masked by the whole value of a secret only.",
        "Keep each value in a secret of its own.",
    ),
)
_ROWS = {row.id: row for row in _AUDITS}
_OTHER = _Audit(
    "audit",
    _MEDIUM,
    "zizmor reports a weakness",
    "An audit of zizmor without a row of its own here, of medium or high severity.",
    "Follow the audit's page, whose address is in the finding.",
)
# Their findings need knowledge that nobody has here: who can fill a cache, and what an app's key is for.
_ONLY_NOTED = frozenset({"cache-poisoning", "github-app"})


_HARMLESS = re.compile(r"\s*github\.(?:run_id|run_number|run_attempt|sha|repository|repository_owner|event_name)\s*")


def _is_harmless(entry: LintEntry, file: WorkflowFile | None) -> bool:
    """Whether a variable in a script is made only of what nobody can choose; zizmor calls any expression in it low."""
    names = re.findall(r"\benv\.(\w+)", entry.text)
    values = [
        t.text for t in (file.workflow.texts if file else ()) if t.path[-2:-1] == ("env",) and t.path[-1] in names
    ]
    parts = [part for value in values for part in parts_of(value) if part.is_expression]
    return bool(values) and all(part.closed and _HARMLESS.fullmatch(part.text) for part in parts)


def _id_of(entry: LintEntry, file: WorkflowFile | None) -> str:
    """The rule that an entry belongs to; empty when another rule answers the same question."""
    if entry.tool == "actionlint" and entry.kind == "runner-label":
        return ""  # workflow/self-hosted-runner
    if entry.tool == "actionlint":
        return "actionlint/note" if re.search(r"\b(deprecated|retired)\b", entry.says) else "actionlint/error"
    if entry.kind == "unreadable":
        return "zizmor/unreadable"
    if entry.kind == "excessive-permissions" and "permissions" in entry.route:
        return ""  # workflow/wide-permissions
    row = _ROWS.get(entry.kind, _OTHER)
    if entry.kind == "template-injection" and entry.severity == _LOW and _is_harmless(entry, file):
        return "zizmor/note"
    blocks = entry.severity >= row.blocks_from and entry.kind not in _ONLY_NOTED
    return f"zizmor/{row.id}" if blocks else "zizmor/note"


def _hits(rule: str, linted: LintedWorkflow) -> Iterator[Finding]:
    for entry in linted.entries:
        if _id_of(entry, linted.file) == rule:
            job = _job_of(entry, linted)
            under = linted.file.circumstances(job) if linted.file is not None else frozenset[str]()
            under -= {"environment of none"}  # it has no secrets and no rights of an environment
            shown = f"{entry.says} ({_WORDS[entry.severity]})" if entry.tool == "zizmor" else entry.says
            page = f"; {entry.url}" if rule in ("zizmor/audit", "zizmor/note") and entry.url else ""
            anchor = f"{entry.kind} {_subject(entry, linted.path, job)}"
            what = f"{shown}{page}"
            yield hit(path=linted.path, line=entry.line, what=what, anchor=anchor, under=under, excuses_all=True)


def _job_of(entry: LintEntry, linted: LintedWorkflow) -> Job | None:
    if linted.file is None:
        return None
    if entry.route[:1] == ("jobs",) and len(entry.route) > 1:
        return linted.file.job(entry.route[1])
    return next((j for j in reversed(linted.file.workflow.jobs) if 0 < j.line <= entry.line), None)


def _subject(entry: LintEntry, path: str, job: Job | None) -> str:
    """What else must be equal in two findings that are the same: mostly the text of the line."""
    if entry.kind == "unpinned-uses":
        return entry.text.partition("@")[0].rpartition("uses")[2]  # another tag of the same action is no other finding
    if entry.kind in ("excessive-permissions", "secrets-inherit"):
        return f"{path} {job.id if job else ''}"
    if entry.kind == "unreadable":
        return path
    # actionlint gives the line of `run: |`, and lists what exists in braces.
    return f"{entry.says.partition('{')[0] if entry.tool == 'actionlint' else ''} {entry.text}"


def _rule(row: _Audit, tool: str = "zizmor", *, severity: Severity = Severity.BLOCKS) -> Rule:
    rule = f"{tool}/{row.id}"
    return Rule(
        id=rule,
        title=row.title,
        reason=row.reason,
        remedy=row.remedy,
        severity=severity,
        subject=LintedWorkflow,
        function=partial(_hits, rule),
    )


LINTER_RULES: tuple[Rule, ...] = (
    *(_rule(row) for row in (*_AUDITS, _OTHER)),
    _rule(
        _Audit(
            "unreadable",
            _ANY,
            "zizmor cannot read the workflow",
            "It is no workflow by GitHub's schema, or it is made to be slow.",
            "Write the workflow as GitHub's schema has it.",
        )
    ),
    _rule(
        _Audit(
            "note",
            _ANY,
            "zizmor has a remark",
            "An audit of low severity, or one that only people can judge.",
            "Follow the audit's page, whose address is in the finding.",
        ),
        severity=Severity.NOTICE,
    ),
    _rule(
        _Audit(
            "note",
            _ANY,
            "actionlint has a remark",
            "An action or a workflow command is deprecated, and will stop working.",
            "Use what its text names instead.",
        ),
        tool="actionlint",
        severity=Severity.NOTICE,
    ),
    _rule(
        _Audit(
            "error",
            _ANY,
            "actionlint reports an error",
            "GitHub would refuse the workflow, or a part of it would not do what it says.",
            "Correct the workflow at this line.",
        ),
        tool="actionlint",
    ),
)
