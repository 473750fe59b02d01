"""Names that other things go by: workflows that listen, and checks that a branch requires."""

from __future__ import annotations

from collections.abc import Iterator

from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import Hit, WholeChange
from ops_agent.guard.tree import workflows_of
from ops_agent.model.workflow import Workflow

_CHECKS_A_MERGE = frozenset({"pull_request", "merge_group"})


def shared_name(change: WholeChange) -> Iterator[Hit]:
    """A workflow or its check takes the name of another one.

    `workflow_run` starts on a workflow's name, with the rights of the default branch, and a branch asks for checks by
    the names of jobs: whoever takes the name starts the one and can answer for the other.

    Remedy: Give the workflow and its jobs names of their own.
    """
    changed = [c.path for c in change.changes.changes if is_workflow(c.path) and c.after is not None]
    if not changed:
        return
    before, after = workflows_of(change.base), workflows_of(change.head)
    for path in changed:
        if path not in after:
            continue
        mine, stood = after[path], before.get(path)
        name = _name(path, mine)
        taken = stood is not None and _name(path, stood) == name
        for other, theirs in after.items():
            if other == path:
                continue
            if not taken and name.casefold() in (_name(other, theirs).casefold(), *_listens_to(theirs)):
                yield Hit(
                    path=path,
                    line=1,
                    what=f"`{other}` is called `{name}`, or starts when `{name}` ends",
                    anchor=f"{path} {name} {other}",
                )
            for check in sorted(_checks(mine) & _checks(theirs)):
                if (
                    stood is None
                    or check not in _checks(stood)
                    or (other in before and check not in _checks(before[other]))
                ):
                    yield Hit(
                        path=path,
                        line=1,
                        what=f"`{other}` has the check `{check}` already",
                        anchor=f"{path} {check} {other}",
                    )


def _name(path: str, workflow: Workflow) -> str:
    return next((t.text for t in workflow.texts if t.path == ("name",)), path)


def _listens_to(workflow: Workflow) -> tuple[str, ...]:
    trigger = workflow.trigger("workflow_run")
    return tuple(n.casefold() for n in trigger.filters.get("workflows", ())) if trigger else ()


def _checks(workflow: Workflow) -> set[str]:
    """What GitHub calls the jobs that say whether a pull request may be merged."""
    if not workflow.events & _CHECKS_A_MERGE:
        return set()
    names = {
        t.path[1]: t.text for t in workflow.texts if len(t.path) == 3 and t.path[0] == "jobs" and t.path[2] == "name"
    }
    return {names.get(job.id) or job.id for job in workflow.jobs}
