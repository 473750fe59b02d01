"""The workflows of one side of a change, and who calls whom."""

from __future__ import annotations

from ops_agent.core.guard.paths import is_workflow
from ops_agent.core.guard.trees import SourceTree
from ops_agent.core.sources.reading_workflows import read_workflow
from ops_agent.domain.workflow_source import Workflow


def workflows_of(tree: SourceTree) -> dict[str, Workflow]:
    """The workflows that can be read, by path. Reading is cached by content."""
    found = {p: read_workflow(tree.read(p)) for p in sorted(tree.paths) if is_workflow(p)}
    return {p: w for p, w in found.items() if isinstance(w, Workflow)}


def called_on(path: str, tree: SourceTree) -> frozenset[str]:
    """The events of the workflows that call the workflow `path`, through any number of others."""
    workflows = workflows_of(tree)
    callers, pending = {path}, [path]
    while pending:
        called = pending.pop()
        for caller, workflow in workflows.items():
            if caller not in callers and any(j.uses.partition("@")[0].endswith(f"/{called}") for j in workflow.jobs):
                callers.add(caller)
                pending.append(caller)
    return frozenset(e for c in callers - {path} for e in workflows[c].events) - {"workflow_call"}
