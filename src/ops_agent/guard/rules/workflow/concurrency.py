"""Groups of `concurrency`: one more run in a group takes the place of the run that waits, or ends the one that runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops_agent.guard.paths import is_workflow
from ops_agent.guard.rule import Hit, WholeChange
from ops_agent.guard.tree import SourceTree
from ops_agent.model.terraform import Unreadable
from ops_agent.model.workflow import Workflow
from ops_agent.workflows.expressions import parts_of
from ops_agent.workflows.reader import read_workflow

_ANY = "\x00"
_MOST = 250_000
_Group = tuple[str, str, int]


def shared_concurrency(change: WholeChange) -> Iterator[Hit]:
    """A workflow's `concurrency` group can be the group of another workflow.

    A group is one for the whole repository: a run that joins it cancels the run that waits there, or the one that runs,
    and that can be a deployment. Names are compared without case, and what an expression makes can be anything.

    Remedy: Begin the group with a word of its own, or with `${{ github.workflow }}` and a name that no other workflow
    has.
    """
    changed = {c.path for c in change.changes.changes if is_workflow(c.path) and c.after is not None}
    if not changed:
        return
    groups, before = list(_groups(change.head)), frozenset(_groups(change.base))
    for path, group, line in groups:
        for other, theirs, there in groups:
            if path not in changed or other == path or not _can_meet(group, theirs):
                continue
            if (path, group) in {(p, g) for p, g, _ in before} and (other, theirs) in {(p, g) for p, g, _ in before}:
                continue
            shown = group.replace(_ANY, "*")
            what = f"the group `{shown}` can be that of `{other}` line {there}"
            yield Hit(path=path, line=line, what=what, anchor=f"{path} {group} {other}")


def _groups(tree: SourceTree) -> Iterator[_Group]:
    """Workflow, group in lower case with a mark for what is computed, line."""
    for path in sorted(p for p in tree.paths if is_workflow(p)):
        workflow = read_workflow(tree.read(path))
        if isinstance(workflow, Unreadable):
            continue
        for text in workflow.texts:
            place = text.path[2:] if text.path[0] == "jobs" else text.path
            if place in (("concurrency",), ("concurrency", "group")):
                yield path, _resolved(text.text, path, workflow).casefold(), text.line


def _resolved(group: str, path: str, workflow: Workflow) -> str:
    name = next((t.text for t in workflow.texts if t.path == ("name",)), path)
    called = workflow.trigger("workflow_call") is not None or "${{" in name

    def computed(inside: str) -> str:
        if inside == "github.workflow" and not called:
            return name
        return f"refs/{_ANY}" if inside == "github.ref" else _ANY

    pieces = (computed(p.text.strip().casefold()) if p.is_expression else p.text for p in parts_of(group))
    return re.sub(f"{_ANY}+", _ANY, "".join(pieces))


def _can_meet(one: str, other: str) -> bool:
    """Is there a text that both patterns allow? `_ANY` stands for any text."""
    if len(one) * len(other) > _MOST:
        return True
    reached = {(0, 0)}
    pending = [(0, 0)]
    while pending:
        i, j = pending.pop()
        if i == len(one) and j == len(other):
            return True
        following = []
        if i < len(one) and one[i] == _ANY:
            following += [(i + 1, j), (i, j + 1)]
        if j < len(other) and other[j] == _ANY:
            following += [(i, j + 1), (i + 1, j)]
        if i < len(one) and j < len(other) and one[i] == other[j]:
            following.append((i + 1, j + 1))
        for step in following:
            if step[0] <= len(one) and step[1] <= len(other) and step not in reached:
                reached.add(step)
                pending.append(step)
    return False
