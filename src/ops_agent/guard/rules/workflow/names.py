"""The form of a workflow, the names that other workflows and branch rules use, and what a change removes from a
workflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from glob import escape

from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import UnreadableFile, WholeChange, WorkflowFile, hit, rule
from ops_agent.guard.tree import SourceTree, workflows_of
from ops_agent.model.finding import Finding, Severity
from ops_agent.model.terraform import Unreadable
from ops_agent.model.workflow import Job, Step, Workflow
from ops_agent.workflows.expressions import parts_of
from ops_agent.workflows.reader import read_workflow

_ANY = "\x00"
_CHECKS_A_MERGE = frozenset({"pull_request", "merge_group"})
_SWALLOWED = re.compile(r"\|\|\s*(true\b|:|exit 0\b)|\bset \+e\b|\bexit 0\b")
_NEVER = ("false", "${{ false }}")


@rule(Severity.BLOCKS)
def unreadable_workflow(file: UnreadableFile) -> Iterator[Finding]:
    """A workflow cannot be parsed reliably.

    Parsers disagree about duplicate keys, merge keys, tags, tabs and computed mappings.

    Remedy: Write plain YAML: every key once, spaces for indentation, no merge keys.
    """
    if file.path.endswith((".yml", ".yaml")):
        what = file.reason.what
        yield hit(path=file.path, line=file.reason.line, what=what, anchor=f"{file.path} {what}")


@rule(Severity.BLOCKS)
def unknown_key(file: WorkflowFile) -> Iterator[Finding]:
    """A workflow has a key that the rules do not know.

    The rules cannot judge what they do not know.

    Remedy: Correct the key's spelling, or remove it.
    """
    parts: list[Workflow | Job | Step] = [file.workflow, *file.workflow.jobs, *(step for _, step in file.steps)]
    for part in parts:
        for key in part.unknown_keys:
            yield file.hit(part, f"the key `{key}` is not known here", at=key)


@rule(Severity.BLOCKS)
def shared_concurrency(change: WholeChange) -> Iterator[Finding]:
    """A workflow's `concurrency` group can be the group of another workflow.

    A group is shared by the whole repository: a run that enters it cancels the waiting run, or the running one, which
    may be a deployment. GitHub ignores case here, and an expression is taken for any text.

    Remedy: Begin the group with a word of its own, or with `${{ github.workflow }}` and a name that no other workflow
    has.
    """
    changed = _written(change)
    groups = list(_groups(change.head)) if changed else []
    before = {(path, group) for path, group, _ in _groups(change.base)} if changed else set()
    for path, group, line in groups:
        for other, theirs, there in groups:
            is_old = (path, group) in before and (other, theirs) in before
            if path in changed and other != path and not is_old and _can_be_equal(group, theirs):
                what = f"the group `{group.replace(_ANY, '*')}` can be that of `{other}` line {there}"
                yield hit(path=path, line=line, what=what, anchor=f"{path} {group} {other}")


@rule(Severity.BLOCKS)
def shared_name(change: WholeChange) -> Iterator[Finding]:
    """A workflow takes the name of another one, or one that a `workflow_run` trigger waits for.

    `workflow_run` starts by a workflow's name, with the rights of the default branch: a workflow of that name starts
    it.

    Remedy: Give the workflow a name of its own.
    """
    for path, mine, old, others in _compared(change):
        name = _name(path, mine)
        if old is not None and _name(path, old) == name:
            continue
        for other, theirs, _ in others:
            if name.casefold() in (_name(other, theirs).casefold(), *_listens_to(theirs)):
                what = f"`{other}` is called `{name}`, or starts when `{name}` ends"
                yield hit(path=path, line=1, what=what, anchor=f"{path} {name} {other}")


@rule(Severity.WARNING)
def shared_check(change: WholeChange) -> Iterator[Finding]:
    """A job that checks pull requests has the name of a job in another workflow.

    A branch rule requires checks by their job's name, so either job satisfies it. Merge queues do this on purpose.

    Remedy: Give the job a `name:` of its own, unless either check is enough.
    """
    for path, mine, old, others in _compared(change):
        for other, theirs, before in others:
            known = _checks(old) & _checks(before) if old is not None and before is not None else set()
            for check in sorted((_checks(mine) & _checks(theirs)) - known):
                what = f"`{other}` already has the check `{check}`"
                yield hit(path=path, line=1, what=what, anchor=f"{path} {check} {other}")


@rule(Severity.WARNING)
def weakened_check(change: WholeChange) -> Iterator[Finding]:
    """An existing workflow checks less, or waits for less.

    A check that is removed, runs on fewer events, may fail or is skipped lets the next change through; a job without
    its environment or its `needs` no longer waits. It may be what the issue asks for, and it is easy to overlook.

    Remedy: Keep the check and its gate, or explain in the pull request why they go.
    """
    for changed in change.changes.changes:
        before = read_workflow(changed.before) if changed.before is not None and is_workflow(changed.path) else None
        if not isinstance(before, Workflow):
            continue
        after = read_workflow(changed.after) if changed.after is not None else None
        losses = _losses(before, after) if not isinstance(after, Unreadable) else ()
        for line, what in losses:
            yield hit(path=changed.path, line=line, what=what, anchor=f"{changed.path} {what}")


def _written(change: WholeChange) -> set[str]:
    return {c.path for c in change.changes.changes if is_workflow(c.path) and c.after is not None}


def _groups(tree: SourceTree) -> Iterator[tuple[str, str, int]]:
    """Workflow, group in lower case with a mark for what is computed, line."""
    for path, workflow in workflows_of(tree).items():
        for text in workflow.texts:
            place = text.path[2:] if text.path[0] == "jobs" else text.path
            if place in (("concurrency",), ("concurrency", "group")):
                yield path, _resolved(text.text, path, workflow).casefold(), text.line


def _resolved(group: str, path: str, workflow: Workflow) -> str:
    name = _name(path, workflow)
    is_called = workflow.trigger("workflow_call") is not None or "${{" in name

    def computed(inside: str) -> str:
        if inside == "github.workflow" and not is_called:
            return name
        return f"refs/{_ANY}" if inside == "github.ref" else _ANY

    pieces = (computed(p.text.strip().casefold()) if p.is_expression else p.text for p in parts_of(group))
    return re.sub(f"{_ANY}+", _ANY, "".join(pieces))


def _can_be_equal(one: str, other: str) -> bool:
    """Whether both patterns can match the same text; `_ANY` matches any text."""
    for literal, pattern in ((one, other), (other, one)):
        if _ANY not in literal:
            return fnmatchcase(literal, "*".join(map(escape, pattern.split(_ANY))))
    starts = sorted((one.partition(_ANY)[0], other.partition(_ANY)[0]), key=len)
    ends = sorted((one.rpartition(_ANY)[2], other.rpartition(_ANY)[2]), key=len)
    return starts[1].startswith(starts[0]) and ends[1].endswith(ends[0])


_Other = tuple[str, Workflow, Workflow | None]


def _compared(change: WholeChange) -> Iterator[tuple[str, Workflow, Workflow | None, list[_Other]]]:
    """Each written workflow, now and before, and all others."""
    changed = _written(change)
    if not changed:
        return
    before, after = workflows_of(change.base), workflows_of(change.head)
    for path in sorted(changed & after.keys()):
        others = [(other, theirs, before.get(other)) for other, theirs in after.items() if other != path]
        yield path, after[path], before.get(path), others


def _name(path: str, workflow: Workflow) -> str:
    return next((t.text for t in workflow.texts if t.path == ("name",)), path)


def _listens_to(workflow: Workflow) -> tuple[str, ...]:
    trigger = workflow.trigger("workflow_run")
    return tuple(n.casefold() for n in trigger.filters.get("workflows", ())) if trigger else ()


def _checks(workflow: Workflow) -> set[str]:
    """What GitHub calls the jobs that decide whether a pull request may be merged."""
    if not workflow.events & _CHECKS_A_MERGE:
        return set()
    names = {t.path[1]: t.text for t in workflow.texts if t.path[::2] == ("jobs", "name")}
    return {names.get(job.id) or job.id for job in workflow.jobs}


def _losses(old: Workflow, new: Workflow | None) -> Iterator[tuple[int, str]]:
    if new is None:
        yield 0, "the workflow is deleted"
        return
    for trigger in old.triggers:
        now = new.trigger(trigger.event)
        if now is None:
            yield 1, f"it no longer starts on `{trigger.event}`"
        elif now.filters != trigger.filters:
            yield now.line, f"it starts on another `{trigger.event}` than before"
    jobs = {job.id: job for job in new.jobs}
    for job in old.jobs:
        if job.id not in jobs:
            yield 1, f"the job `{job.id}` is gone"
        else:
            for what in _losses_of_job(job, jobs[job.id]):
                yield jobs[job.id].line, f"the job `{job.id}` {what}"


def _losses_of_job(old: Job, new: Job) -> Iterator[str]:
    if old.environment and old.environment != new.environment:
        yield f"no longer waits for the environment `{old.environment}`"
    for needed in sorted(set(old.needs) - set(new.needs)):
        yield f"no longer waits for `{needed}`"
    if new.condition and new.condition != old.condition:
        yield "runs under another `if`"
    if new.text.count('"continue-on-error"') > old.text.count('"continue-on-error"'):
        yield "may fail (`continue-on-error`)"
    if len(new.steps) < len(old.steps):
        yield f"has {len(new.steps)} steps and had {len(old.steps)}"
    if sum(s.condition in _NEVER for s in new.steps) > sum(s.condition in _NEVER for s in old.steps):
        yield "has a step that never runs"
    if _swallowed(new) > _swallowed(old):
        yield "ignores that a command fails"


def _swallowed(job: Job) -> int:
    return sum(len(_SWALLOWED.findall(s.run)) for s in job.steps)
