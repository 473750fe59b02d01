"""What is nearly a work item: the person who labelled it hears how to make it one, where anybody else would hear
nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import partial

from ops_agent.model.event import Issue
from ops_agent.model.outcome import Conclusion, Stopped

_declined = partial(Stopped, Conclusion.DECLINED)


def is_nearly(title: str, prefix: str) -> bool:
    """Whether `title` holds `prefix` in another case, width or place, or with something invisible in it.

    A title that starts with the prefix of another role (`[dev] ...`) does not.
    """
    wanted, seen = _plain(prefix), _plain(title)
    if not wanted or (seen[:1] == wanted[:1] == "[" and not seen.startswith(wanted)):
        return False
    return seen.startswith(wanted) or (wanted in seen and not wanted[0].isalnum())


def _plain(text: str) -> str:
    """Without case, width, blanks, marks and what has no picture."""
    shown = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] not in "CMZ")
    return "".join(shown).casefold()


def misspelt(issue: Issue, prefix: str) -> Stopped:
    """For an issue whose title is nearly that of a work item."""
    return _declined(
        f"The title of {issue.ref} does not start with exactly `{prefix}`; only then it is a work item of ops-agent.",
        f"Rename it so that its first characters are `{prefix}`, then take the label off and apply it again.",
    )


def labelled_parent(issue: Issue, ours: Sequence[Issue]) -> Stopped:
    """For an issue that is none of ours, and that has sub-issues that are (`ours`)."""
    number, many = issue.ref.number, len(ours)
    return _declined(
        f"{issue.ref} is a parent, and a label approves the text of one issue, never that of its "
        f"{many} work item{'s' if many > 1 else ''}.",
        f"Dispatch the workflow with the number {number} to work on those that are ready, in order; or apply the label "
        "to each of them.",
    )


def may_be_parent(issue: Issue) -> bool:
    """Whether it is worth a request to ask for sub-issues; the payload says how many there are, except on old
    servers.
    """
    return issue.is_open and not issue.is_pull_request and issue.sub_issues != 0
