"""When a workflow runs (F02, F03 of the security bar)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.rule import Hit, WorkflowFile
from ops_agent.guard.rules.workflow.gates import environments_of, is_gated

_OPEN = frozenset({"push", "pull_request", "workflow_dispatch", "workflow_call", "schedule", "merge_group"})
_LITERAL_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def dangerous_trigger(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow starts on an event that strangers can cause, or that runs with rights of the default branch.

    `pull_request_target`, `workflow_run`, `issue_comment` and the like run with secrets on what others wrote.

    Remedy: Use `pull_request` or `merge_group` (read-only), `push` to named branches, `workflow_dispatch`,
    `workflow_call` or `schedule`.
    """
    for trigger in file.workflow.triggers:
        if trigger.event not in _OPEN:
            yield from file.hits_of_jobs(f"on {trigger.event}", f"it starts on `{trigger.event}`", trigger.line)
    for event in sorted(file.called_on - _OPEN):
        yield from file.hits_of_jobs(f"on {event}", f"a workflow that starts on `{event}` calls it", 1)


def push_from_any_branch(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow starts on a push to a branch that is not named.

    The agent's own branch is pushed before anybody has reviewed it; only named, protected branches may start a
    workflow.

    Remedy: Write `push:` with `branches: [main]`, without patterns and without tags.
    """
    for trigger in file.workflow.triggers:
        if trigger.event != "push":
            continue
        branches = trigger.filters.get("branches", ())
        anchor = f"on push {sorted(trigger.filters.items())}"
        if not branches or trigger.filters.keys() & {"tags", "tags-ignore"}:
            what = "tags start it" if branches else "a push to any branch starts it"
            yield from file.hits_of_jobs(anchor, what, trigger.line)
        for branch in branches:
            if not _LITERAL_BRANCH.fullmatch(branch) or branch.startswith("ops-agent/"):
                yield from file.hits_of_jobs(anchor, f"`{branch}` is not the name of a protected branch", trigger.line)


def pull_request_beyond_reading(file: WorkflowFile) -> Iterator[Hit]:
    """A workflow that runs on pull requests may do more than read.

    It runs as the pull request's branch wrote it, before anybody has reviewed it: `contents: read`, and `id-token:
    write` only in a job that a GitHub environment gates. So does a workflow that another one calls on pull requests.
    The environment must stand in a workflow of the base branch: GitHub makes an unknown one on its first use, and then
    it protects nothing.

    Remedy: Give its jobs `contents: read` only; put what writes into a workflow on `push` to a protected branch.
    """
    if not file.events & {"pull_request", "merge_group"}:
        return
    for job in file.workflow.jobs:
        permissions = job.permissions or file.workflow.permissions
        for scope, access in (permissions.scopes if permissions else {}).items():
            if access == "write" and not (scope == "id-token" and is_gated(job, file.workflow)):
                what = f"the job `{job.id}` has `{scope}: write` on pull requests"
                yield from file.hits_of_jobs(scope, what, job.line, job)
            elif access == "write" and not file.known_environments.issuperset(environments_of(job)):
                what = f"no workflow of the base names the environment `{job.environment}` of the job `{job.id}`"
                yield from file.hits_of_jobs(scope, what, job.line, job)
