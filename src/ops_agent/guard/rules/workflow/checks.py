"""What a change takes away from the workflows that stand: their checks and their gates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import Hit, WholeChange
from ops_agent.model.terraform import Unreadable
from ops_agent.model.workflow import Job, Workflow
from ops_agent.workflows.reader import read_workflow

_SWALLOWED = re.compile(r"\|\|\s*(true\b|:|exit 0\b)|\bset \+e\b|\bexit 0\b")


def weakened_check(change: WholeChange) -> Iterator[Hit]:
    """A workflow that stands checks less, or waits for less.

    A check that is gone, runs on fewer events, may fail, or is skipped lets the next change through; a job without its
    environment or its `needs` waits for nobody. It may be what the issue asks for, and it is easy to overlook.

    Remedy: Keep the check and its gate, or say in the pull request why they go.
    """
    for changed in change.changes.changes:
        before, after = changed.before, changed.after
        if before is None or not is_workflow(changed.path):
            continue
        stood = read_workflow(before)
        if isinstance(stood, Unreadable):
            continue
        stands = read_workflow(after) if after is not None else None
        if stands is None:
            yield Hit(path=changed.path, line=0, what="the workflow is deleted", anchor=changed.path)
        elif not isinstance(stands, Unreadable):
            for line, what in _losses(stood, stands):
                yield Hit(path=changed.path, line=line, what=what, anchor=f"{changed.path} {what}")


def _losses(stood: Workflow, stands: Workflow) -> Iterator[tuple[int, str]]:
    for trigger in stood.triggers:
        now = stands.trigger(trigger.event)
        if now is None:
            yield 1, f"it no longer starts on `{trigger.event}`"
        elif now.filters != trigger.filters:
            yield now.line, f"it starts on another `{trigger.event}` than before"
    jobs = {job.id: job for job in stands.jobs}
    for job in stood.jobs:
        if job.id not in jobs:
            yield 1, f"the job `{job.id}` is gone"
        else:
            for what in _losses_of_job(job, jobs[job.id]):
                yield jobs[job.id].line, f"the job `{job.id}` {what}"


def _losses_of_job(stood: Job, stands: Job) -> Iterator[str]:
    if stood.environment and stood.environment != stands.environment:
        yield f"no longer waits for the environment `{stood.environment}`"
    for needed in sorted(set(stood.needs) - set(stands.needs)):
        yield f"no longer waits for `{needed}`"
    if stands.condition and stands.condition != stood.condition:
        yield "runs under another `if`"
    if stands.text.count('"continue-on-error"') > stood.text.count('"continue-on-error"'):
        yield "may fail (`continue-on-error`)"
    if len(stands.steps) < len(stood.steps):
        yield f"has {len(stands.steps)} steps and had {len(stood.steps)}"
    if sum(s.condition in ("false", "${{ false }}") for s in stands.steps) > sum(
        s.condition in ("false", "${{ false }}") for s in stood.steps
    ):
        yield "has a step that never runs"
    if _swallowed(stands) > _swallowed(stood):
        yield "ignores that a command fails"


def _swallowed(job: Job) -> int:
    return sum(len(_SWALLOWED.findall(s.run)) for s in job.steps)
