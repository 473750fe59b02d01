"""The one comment on a parent issue: where each of its sub-issues stands and what happens next. Text of users enters
neutralised only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops_agent.issue.visible_text import clean_line
from ops_agent.model.event import IssueRef, RunIdentity
from ops_agent.pages.issue_comment import ANSWER_MARK, by_run
from ops_agent.text.markdown import cell, cut_markdown, sentence

_MAX_CHARACTERS = 60_000  # GitHub takes 65,536
_PULLS = re.compile(r"(?m)^<!-- ops-agent:pulls (\{[0-9\":,]{0,4000}\}) -->$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sub-issue: in what state it is, and what a person does now, or what happens without one."""

    ref: IssueRef
    title: str
    state: str
    then: str


def parent_comment(parent: IssueRef, rows: Sequence[Row], pulls: Mapping[int, int], run: RunIdentity) -> str:
    """`pulls`: the pull request of a sub-issue, both by number; the comment remembers them when they are not open any
    more.
    """
    record = json.dumps({str(issue): number for issue, number in sorted(pulls.items())}, separators=(",", ":"))
    lines = [
        "| | Sub-issue | State | What happens next |",
        "|---|---|---|---|",
        *(_line(place, row, parent, pulls) for place, row in enumerate(rows, 1)),
    ]
    table, rest = cut_markdown("\n".join(lines), _MAX_CHARACTERS)
    parts = [
        f"{ANSWER_MARK}\n<!-- ops-agent:pulls {record} -->",
        "### What ops-agent does with the sub-issues",
        table + ("\n\n*(cut here: GitHub takes no longer comment)*" if rest else ""),
        "ops-agent never closes this issue: close it when nothing is missing.",
        by_run(run),
    ]
    return "\n\n".join(parts) + "\n"


def remembered_pulls(body: str) -> dict[int, int]:
    """What `parent_comment` kept in an earlier `body`."""
    found = _PULLS.search(body)
    try:
        kept = json.loads(found[1]) if found else {}
    except ValueError:
        return {}
    return {int(issue): number for issue, number in kept.items() if issue.isdigit() and isinstance(number, int)}


def _line(place: int, row: Row, parent: IssueRef, pulls: Mapping[int, int]) -> str:
    own = row.ref.repository == parent.repository
    name = f"#{row.ref.number}" if own else cell(str(row.ref))
    title = cell(clean_line(row.title, 120).text)
    state = sentence(row.state, parent.repository)
    number = pulls.get(row.ref.number) if own else None
    if number is not None and f"#{number}" not in state:
        state = f"{state} (pull request #{number})"
    return f"| {place} | {name} {title} | {state} | {sentence(row.then, parent.repository) or '-'} |"
