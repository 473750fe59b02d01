"""What a change set does to the layout itself: an environment that was plain on the base must stay plain, or nothing proves the change."""

from __future__ import annotations

from ops_agent.core.sources.layout_questions import layout_finding
from ops_agent.domain.layout import Layout
from ops_agent.domain.verdict import Finding


def unsettled_by(before: Layout, after: Layout) -> tuple[Finding, ...]:
    """A blocking finding for each environment that could be planned on the base and cannot be told apart on the head.

    An environment that is gone with its files is none of these: its removal is seen for what it is.
    """
    found = []
    standing = {(root.path, e.name): e for root in after.roots for e in root.environments}
    emptied = {root.path for root in after.roots if not root.environments}
    for root in before.roots:
        for environment in root.environments:
            if environment.unsettled:
                continue
            head = standing.get((root.path, environment.name))
            why = head.unsettled if head is not None else "its directory and files no longer tell it" if root.path in emptied else ""
            if why:
                what = f"after this change `{environment.name}` of `{root.path}` cannot be planned any more: {why}"
                remedy = "Take back the file that made it so, or write into the files that stood there already."
                found.append(layout_finding("unsettled-by-this-change", root.path, what, remedy, blocks=True))
    return tuple(found)
