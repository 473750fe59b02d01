"""The workflows of one side of a change, and who calls whom."""

from __future__ import annotations

import re

from ops_agent.core.guard.paths import is_workflow
from ops_agent.core.guard.trees import SourceTree
from ops_agent.core.sources.reading_workflows import read_workflow
from ops_agent.domain.workflow_source import Workflow

_WORTH_KNOWING = ("pull_request", "pull_request_target", "merge_group", "workflow_run", "issue_comment", "issues", "repository_dispatch")


def workflows_of(tree: SourceTree) -> dict[str, Workflow]:
    """The workflows that can be read, by path. Reading is cached by content."""
    found = {p: read_workflow(tree.read(p)) for p in sorted(tree.paths) if is_workflow(p)}
    return {p: w for p, w in found.items() if isinstance(w, Workflow)}


def called_on(path: str, tree: SourceTree) -> frozenset[str]:
    """The events of the workflows that call the workflow `path`, through any number of others. A workflow that cannot be read (it may have
    anchors, which GitHub knows) counts for every word in it that can be a dangerous event."""
    workflows = workflows_of(tree)
    unreadable = {p: tree.read(p).decode(errors="replace") for p in tree.paths if is_workflow(p) and p not in workflows}
    callers, pending = {path}, [path]
    while pending:
        called = pending.pop()
        found = [c for c, w in workflows.items() if any(j.uses.partition("@")[0].endswith(f"/{called}") for j in w.jobs)]
        found += [c for c, text in unreadable.items() if f"/{called}" in text]
        pending += [c for c in found if c not in callers]
        callers.update(found)
    events = {e for c in callers - {path} if c in workflows for e in workflows[c].events}
    events |= {e for c in callers - {path} if c in unreadable for e in _WORTH_KNOWING if re.search(rf"\b{e}\b", unreadable[c])}
    return frozenset(events) - {"workflow_call"}
