"""Which of the named issues are worked on now, in which order, and why the others are not.

A label approves the words of that one issue, never those of its sub-issues. A dispatched issue that is not ours by
prefix or role label and has sub-issues is a parent: its sub-issues are taken in the parent's order, one level deep. An
issue that is ours is an item even when it has sub-issues.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ops_agent.config.settings import LabelSettings
from ops_agent.issue.admission import blocked_by, is_ours, refuse_identity
from ops_agent.issue.visible_text import clean_line
from ops_agent.model.event import Issue, IssueRef
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.work_item import Approval
from ops_agent.text.markdown import cell, sentence

MAX_JOBS = 256  # GitHub's limit for one matrix

_declined = partial(Stopped, Conclusion.DECLINED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An issue that was named, or a sub-issue of one that was (`parent`). `issue` None: there is no such issue, or it
    cannot be seen.
    """

    ref: IssueRef
    issue: Issue | None
    parent: IssueRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """A candidate that is not worked on now, and why."""

    ref: IssueRef
    issue: Issue | None
    why: Stopped

    @property
    def title(self) -> str:
        return self.issue.title if self.issue else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The items that may run, in order, and the declined candidates. `refused`: the event as a whole gives no right to
    anything. `order`: all candidates in their order; `parents`: issues whose sub-issues they are. `nothing`: why there
    is no candidate at all.

    Nothing selected is a clean end: the matrix is then empty and `selected_count` 0, which the workflow checks before
    it starts jobs.
    """

    items: tuple[Issue, ...]
    declined: tuple[Declined, ...] = ()
    refused: Stopped | None = None
    warnings: tuple[str, ...] = ()
    order: tuple[IssueRef, ...] = ()
    parents: tuple[IssueRef, ...] = ()
    nothing: str = ""

    @property
    def matrix(self) -> str:
        """`{"include": [{"issue_number": 11, "repository": "owner/name"}, ...]}` in order; no user text is
        in it.
        """
        entries = [{"issue_number": item.ref.number, "repository": item.ref.repository} for item in self.items]
        return json.dumps({"include": entries}, separators=(",", ":"))

    @property
    def outputs(self) -> dict[str, str]:
        return {"matrix": self.matrix, "selected_count": str(len(self.items))}

    @property
    def why_nothing(self) -> Stopped | None:
        """Why nothing runs: the refusal, the one candidate's own reason, or that every candidate has one; None when
        something runs.
        """
        if self.refused is not None or self.items:
            return self.refused
        if len(self.declined) == 1:
            return self.declined[0].why
        if not self.declined and self.nothing:
            return Stopped(Conclusion.NO_CHANGES, self.nothing, "")
        remedy = "Read the reasons in the job summary; make an item ready and start the workflow again."
        return _declined("No work item was selected.", remedy)

    @property
    def summary(self) -> str:
        """A Markdown table for the job summary: what was selected, what was not, and why."""
        if self.refused is not None:
            return f"**Nothing was selected.** {cell(self.refused.reason)}\n\n{cell(self.refused.remedy)}\n"
        many = len(self.items) != 1
        lines = [
            f"**{len(self.items) or 'No'} work item{'s' if many else ''} selected, {len(self.declined)} not.**",
            "",
            "| | Issue | Title | Why |",
            "|---|---|---|---|",
        ]
        for place, item in enumerate(self.items, 1):
            lines.append(f"| {place} | {item.ref} | {_title(item.title)} | selected |")
        for one in self.declined:
            why = (sentence(text, one.ref.repository) for text in (one.why.reason, one.why.remedy))
            lines.append(f"| - | {one.ref} | {_title(one.title)} | {' '.join(why)} |")
        if many and self.items:
            lines += ["", "Jobs start in this order; `max-parallel` of the workflow limits how many run at once."]
        lines += ["", *(f"- {cell(warning)}" for warning in self.warnings)]
        return "\n".join(lines).rstrip() + "\n"


def _title(title: str) -> str:
    return cell(clean_line(title, 120).text)


def refuse_candidate(labels: LabelSettings, candidate: Candidate) -> Stopped | None:
    """What the issue alone already rules out; None when the board and the blockers are worth asking."""
    ref, issue = candidate.ref, candidate.issue
    if issue is None:
        return Stopped(
            Conclusion.NEEDS_INFO,
            f"{ref} does not exist, was transferred, or the token cannot see it.",
            "Name an existing issue.",
            questions=(f"Which issue should be worked on? There is no {ref}.",),
        )
    if candidate.parent is not None and ref.repository != candidate.parent.repository:
        return _declined(
            f"{ref} is in another repository than its parent.",
            f"Label it there, or dispatch the workflow of {ref.repository}.",
        )
    if not issue.is_open:
        return _declined(f"{ref} is closed.", "Reopen it when the work is still wanted.")
    return refuse_identity(labels, issue)


def is_parent(labels: LabelSettings, issue: Issue) -> bool:
    """True when a dispatched issue's sub-issues should be asked for: an open issue that is not a work item itself."""
    return issue.is_open and not issue.is_pull_request and not is_ours(labels, issue)


def refuse_blocked(
    ready: Sequence[Issue], blockers: Mapping[IssueRef, tuple[Issue, ...]], approval: Callable[[Issue], Approval]
) -> dict[IssueRef, Stopped]:
    """The ready items that have an open blocker, each with the `approval` that waits for it; a cycle of items that
    block each other is named as such, and nothing waits for it.
    """
    open_blockers = {item.ref: tuple(b.ref for b in blockers.get(item.ref, ()) if b.is_open) for item in ready}
    found: dict[IssueRef, Stopped] = {}
    for item in ready:
        cycle = _cycle(item.ref, open_blockers)
        if cycle:
            path = " -> ".join(str(ref) for ref in (*cycle, item.ref))
            reason = f"{item.ref} waits for itself: {path} (blocked by)."
            found[item.ref] = _declined(reason, "Remove one of these dependencies.")
        elif open_blockers[item.ref]:
            found[item.ref] = blocked_by(item.ref, open_blockers[item.ref], approval(item))
    return found


def _cycle(start: IssueRef, blockers: Mapping[IssueRef, tuple[IssueRef, ...]]) -> tuple[IssueRef, ...]:
    """The shortest path from `start` through its blockers back to it, without the last step; empty for none."""
    paths: deque[tuple[IssueRef, ...]] = deque([(start,)])
    seen: set[IssueRef] = set()
    while paths:
        path = paths.popleft()
        for blocker in blockers.get(path[-1], ()):
            if blocker == start:
                return path
            if blocker not in seen:
                seen.add(blocker)
                paths.append((*path, blocker))
    return ()


def choose(
    candidates: Sequence[Candidate], refused: Mapping[IssueRef, Stopped], warnings: Sequence[str] = ()
) -> Selection:
    """The selection: every candidate that was not refused, in order, up to what one matrix holds."""
    items: list[Issue] = []
    declined: list[Declined] = []
    for candidate in candidates:
        why = refused.get(candidate.ref)
        if why is None and len(items) == MAX_JOBS:
            limit = f"A run holds at most {MAX_JOBS} items."
            why = _declined(limit, "Dispatch the workflow again when these are done.")
        if why is None and candidate.issue is not None:
            items.append(candidate.issue)
        elif why is not None:
            declined.append(Declined(ref=candidate.ref, issue=candidate.issue, why=why))
    return Selection(
        items=tuple(items),
        declined=tuple(declined),
        warnings=tuple(dict.fromkeys(warnings)),
        order=tuple(candidate.ref for candidate in candidates),
    )
