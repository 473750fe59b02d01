"""Which of the named issues are worked on now, in which order, and why the others are not.

A label approves the words of that one issue, never those of its sub-issues. A dispatched issue that is not ours by
prefix or role label and has sub-issues is a parent: its sub-issues are taken in the parent's order, one level deep. An
issue that is ours is an item even when it has sub-issues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops_agent.config.settings import LabelSettings
from ops_agent.issue.admission import blocked_by, is_ours, lacks_identity
from ops_agent.issue.visible_text import clean_line
from ops_agent.model.errors import ConfigError
from ops_agent.model.event import Issue, IssueRef
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.text.markdown import cell

MOST_JOBS = 256  # GitHub's limit for one matrix


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
    title: str
    why: Stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The items that may run, in order, and the declined candidates. `refused`: the event as a whole gives no right to
    anything.

    Nothing selected is a clean end: the matrix is then empty and `selected_count` 0, which the workflow asks before it
    starts jobs.
    """

    items: tuple[Issue, ...]
    declined: tuple[Declined, ...] = ()
    refused: Stopped | None = None
    warnings: tuple[str, ...] = ()

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
    def nothing(self) -> Stopped | None:
        """Why nothing runs: the refusal, the one candidate's own reason, or that every candidate has one; None when
        something runs.
        """
        if self.refused is not None or self.items:
            return self.refused
        if len(self.declined) == 1:
            return self.declined[0].why
        remedy = "Read the reasons in the job summary; make an item ready and start the workflow again."
        return Stopped(Conclusion.DECLINED, "No work item was selected.", remedy)

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
        for no in self.declined:
            lines.append(f"| - | {no.ref} | {_title(no.title)} | {cell(no.why.reason)} {cell(no.why.remedy)} |")
        if many and self.items:
            lines += ["", "Jobs start in this order; `max-parallel` of the workflow limits how many run at once."]
        lines += ["", *(f"- {cell(warning)}" for warning in self.warnings)]
        return "\n".join(lines).rstrip() + "\n"


def _title(title: str) -> str:
    return cell(clean_line(title, 120).text)


def eligible(labels: LabelSettings, candidate: Candidate) -> Stopped | None:
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
        return Stopped(
            Conclusion.DECLINED,
            f"{ref} is in another repository than its parent.",
            f"Label it there, or dispatch the workflow of {ref.repository}.",
        )
    if issue.is_pull_request:
        return Stopped(Conclusion.DECLINED, f"{ref} is a pull request.", "Name an issue.")
    if not issue.is_open:
        return Stopped(Conclusion.DECLINED, f"{ref} is closed.", "Reopen it when the work is still wanted.")
    return None if is_ours(labels, issue) else lacks_identity(labels, ref)


def is_parent(labels: LabelSettings, issue: Issue) -> bool:
    """True when a dispatched issue's sub-issues should be asked for: it is an open issue, and not a work item itself."""
    return issue.is_open and not issue.is_pull_request and not is_ours(labels, issue)


def refuse_blocked(ready: Sequence[Issue], blockers: Mapping[IssueRef, tuple[Issue, ...]]) -> dict[IssueRef, Stopped]:
    """The ready items that have an open blocker; a circle of items that block each other is named as such."""
    open_blockers = {item.ref: tuple(b.ref for b in blockers.get(item.ref, ()) if b.is_open) for item in ready}
    found: dict[IssueRef, Stopped] = {}
    for item in ready:
        circle = _circle(item.ref, open_blockers)
        if circle:
            path = " -> ".join(str(ref) for ref in (*circle, item.ref))
            found[item.ref] = Stopped(
                Conclusion.DECLINED,
                f"{item.ref} waits for itself: {path} (blocked by).",
                "Remove one of these dependencies.",
            )
        elif open_blockers[item.ref]:
            found[item.ref] = blocked_by(item.ref, open_blockers[item.ref])
    return found


def _circle(start: IssueRef, blockers: Mapping[IssueRef, tuple[IssueRef, ...]]) -> tuple[IssueRef, ...]:
    """The shortest way from `start` through its blockers back to it, without the last step; empty when there is none."""
    came_from: dict[IssueRef, IssueRef] = {}
    border = [start]
    while border:
        following: list[IssueRef] = []
        for ref in border:
            for blocker in blockers.get(ref, ()):
                if blocker == start:
                    path = [ref]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return tuple(reversed(path))
                if blocker not in came_from:
                    came_from[blocker] = ref
                    following.append(blocker)
        border = following
    return ()


def choose(
    candidates: Sequence[Candidate], refused: Mapping[IssueRef, Stopped], warnings: Sequence[str] = ()
) -> Selection:
    """The selection: every candidate that was not refused, in order, up to what one matrix holds."""
    items: list[Issue] = []
    declined: list[Declined] = []
    for candidate in candidates:
        why = refused.get(candidate.ref)
        if why is None and len(items) == MOST_JOBS:
            why = Stopped(
                Conclusion.DECLINED,
                f"A run holds at most {MOST_JOBS} items.",
                "Dispatch the workflow again when these are done.",
            )
        if why is None and candidate.issue is not None:
            items.append(candidate.issue)
        elif why is not None:
            declined.append(
                Declined(ref=candidate.ref, title=candidate.issue.title if candidate.issue else "", why=why)
            )
    return Selection(items=tuple(items), declined=tuple(declined), warnings=tuple(dict.fromkeys(warnings)))


# The words by which a person names issues: `12`, `#12`, `12,14`, or the address of an issue of the same owner. Nothing
# else.

MOST_ISSUES = 100
_NUMBER = re.compile(r"#?([1-9][0-9]{0,8})")
_ADDRESS = re.compile(r"/([A-Za-z0-9-]{1,39})/([A-Za-z0-9._-]{1,100})/issues/([1-9][0-9]{0,8})")
_FORMS = "write an issue's number (12 or #12), several by comma (12,14), or the address of an issue of this owner"


def parse_references(text: str, repository: str, server_url: str) -> tuple[IssueRef, ...]:
    """Issues named by `text`, in its order; a bare number is an issue of `repository` (`owner/name`).

    `server_url` is GitHub's address without a slash at its end. Raises ConfigError for everything else, and for an
    issue named twice.
    """
    refs: list[IssueRef] = []
    for part in text.split(","):
        ref = _reference(part.strip(" \t"), repository, server_url)
        if ref in refs:
            raise ConfigError(f"issue_number names {ref} twice", hint="Name each issue once.")
        refs.append(ref)
    if len(refs) > MOST_ISSUES:
        raise ConfigError(
            f"issue_number names {len(refs)} issues", hint=f"Name at most {MOST_ISSUES} issues for one run."
        )
    return tuple(refs)


def _reference(word: str, repository: str, server_url: str) -> IssueRef:
    owner = repository.partition("/")[0]
    if number := _NUMBER.fullmatch(word):
        return IssueRef(repository=repository, number=int(number[1]))
    if not word:
        raise ConfigError("issue_number is empty, or has an empty entry", hint=f"Please {_FORMS}.")
    if word.startswith(server_url + "/") and (address := _ADDRESS.fullmatch(word[len(server_url) :])):
        if address[1].lower() != owner.lower():
            raise ConfigError(
                f"issue_number names an issue of {address[1]}, this run belongs to {owner}", hint=f"Please {_FORMS}."
            )
        named = f"{address[1]}/{address[2]}"
        return IssueRef(repository=repository if named.lower() == repository.lower() else named, number=int(address[3]))
    shown = ascii(word if len(word) <= 60 else word[:57] + "...")
    raise ConfigError(f"issue_number holds {shown}, which names no issue", hint=f"Please {_FORMS}.")
