"""Who holds an issue: the records in our comment and in our pull request, and who may work on the item now.

Decisions only, over what `run/claim.py` read (docs/decisions/0002-claim-and-lock.md). First the records and how they
are read back, then `decide`: what a claiming run does next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ops_agent.model.event import Comment, Issue, IssueRef, PullRequest, RunIdentity
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.review import ReviewRound
from ops_agent.model.work_item import WorkItem

GRACE_SECONDS = 10.0
"""How long the winner of the branch has to write its comment before another run may take over."""
LEASE_MARGIN_SECONDS = 600
"""Added to the run's own time limit; covers clocks that differ by up to ten minutes."""
DONE_STATES = ("published", "stopped")

_duplicate = partial(Stopped, Conclusion.DUPLICATE)

_CLAIM = re.compile(r"\A<!-- ops-agent:claim (\{[^\n]{1,4000}\}) -->")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PULL_REQUEST = re.compile(r"<!-- ops-agent:pull-request (\{[^\n]{1,4000}\}) -->\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecord:
    """The first line of our comment: who works on an item. `key` and `content` as in WorkItem; `after` is the comment
    that this one replaces (0: none).

    `repository`, `run_id` and `attempt` name the workflow run; `state` is a Phase; `base` the commit that `branch` was
    made from.
    """

    key: str
    content: str
    repository: str
    run_id: int
    attempt: int
    state: str
    branch: str
    base: str
    after: int = 0

    @property
    def line(self) -> str:
        return f"<!-- ops-agent:claim {_packed(self)} -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenClaim:
    """One of our claim comments as it was found. `updated_at` is GitHub's time, in epoch seconds."""

    comment_id: int
    record: ClaimRecord
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestRecord:
    """The last line of our pull request's body: what it was made of. `at` is the approval that it was last published
    for (epoch seconds): what was said since asks for more. `labels` are those that it gets, `rounds` how often people
    had it continued; `changes` is empty when the branch holds commits of people.
    """

    issue: str
    key: str
    content: str
    base: str
    changes: str
    at: int
    labels: tuple[str, ...] = ()
    rounds: int = 0

    @property
    def ref(self) -> IssueRef | None:
        """The issue; None when a person wrote something else into the record."""
        found = re.fullmatch(r"([\w.-]+/[\w.-]+)#([1-9][0-9]{0,17})", self.issue, re.ASCII)
        return IssueRef(repository=found[1], number=int(found[2])) if found else None

    @property
    def line(self) -> str:
        return f"<!-- ops-agent:pull-request {_packed(self)} -->"


_Record = TypeVar("_Record", ClaimRecord, PullRequestRecord)


def claims_among(comments: Iterable[Comment], author_id: int) -> tuple[SeenClaim, ...]:
    """Our claim comments, oldest first. Only comments by `author_id` count."""
    seen = []
    for comment in comments:
        record = _unpacked(ClaimRecord, _CLAIM.search(comment.body)) if comment.author.id == author_id else None
        if record is not None:
            seen.append(SeenClaim(comment_id=comment.id, record=record, updated_at=epoch(comment.updated_at)))
    return tuple(sorted(seen, key=lambda claim: claim.comment_id))


def pull_request_record(body: str) -> PullRequestRecord | None:
    """The record at the end of a pull request's body; None when a person wrote or cut the body."""
    return _unpacked(PullRequestRecord, _PULL_REQUEST.search(body))


def holder(claims: Iterable[SeenClaim]) -> SeenClaim | None:
    """Who has the item: the lowest comment id among those that replace the same predecessor, followed to the last
    successor.

    GitHub gives ids in the order of creation, so a run that lists after writing sees every comment with a lower id than
    its own: of any number of simultaneous runs exactly one finds itself here.
    """
    claims = sorted(claims, key=lambda claim: claim.comment_id)
    present = {claim.comment_id for claim in claims}
    current = next((claim for claim in claims if claim.record.after not in present), None)
    heir = current
    while heir is not None:
        current = heir
        following = (c for c in claims if c.record.after == heir.comment_id and c.comment_id > heir.comment_id)
        heir = next(following, None)
    return current


def epoch(iso: str) -> float:
    """Epoch seconds of an ISO 8601 time of GitHub's; 0 when it is not one."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _packed(record: ClaimRecord | PullRequestRecord) -> str:
    """JSON that cannot end an HTML comment."""
    return json.dumps(asdict(record), separators=(",", ":")).replace(">", "\\u003e")


def _unpacked(kind: type[_Record], found: re.Match[str] | None) -> _Record | None:
    """The record, only when every field has its type and `base` is the name of a commit."""
    try:
        record = TypeAdapter(kind).validate_json(found[1], strict=True, extra="forbid") if found else None
    except ValidationError:
        return None
    return record if record is not None and _COMMIT.fullmatch(record.base) else None


class ClaimAction(StrEnum):
    """What a claiming run does next."""

    TAKE = "take"
    CONTINUE = "continue"
    WAIT = "wait"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What GitHub showed.

    `pull_requests`: newest first, all of our branch that count; `in_the_way`: an open one whose author may not write,
    so that ours cannot be opened. `holder`: our comment in force; `holder_finished`: what is known of its run.
    `asked`: what writers ask for on the open pull request since its publication. `branch_exists` None: not known yet.
    `waited`: seconds since the branch was first seen without a comment. `now`: epoch seconds.
    """

    pull_requests: tuple[PullRequest, ...] = ()
    in_the_way: PullRequest | None = None
    published: PullRequestRecord | None = None
    asked: ReviewRound | None = None
    holder: SeenClaim | None = None
    holder_finished: bool | None = None
    branch_exists: bool | None = None
    waited: float = 0.0
    now: float = 0.0

    @property
    def open(self) -> PullRequest | None:
        return next((p for p in self.pull_requests if p.is_open), None)


def branch_name(prefix: str, item: WorkItem) -> str:
    return issue_branch(prefix, item.issue, item.target.full_name)


def issue_branch(prefix: str, issue: Issue, target: str) -> str:
    """`{prefix}{number}`; an issue of another repository than the `target` gets its id appended, so that equal numbers
    do not meet.
    """
    own = issue.ref.repository.casefold() == target.casefold()
    return f"{prefix}{issue.ref.number}" if own else f"{prefix}{issue.ref.number}-{issue.id}"


def is_our_branch(branch: str, prefix: str, item: WorkItem) -> bool:
    """Whether `branch` may be written at all: our shape, and neither the base nor the default branch."""
    shape = re.fullmatch(re.escape(prefix) + r"[0-9]+(-[0-9]+)?", branch)
    return bool(prefix) and shape is not None and branch not in (item.base_branch, item.target.default_branch)


def is_own_earlier_attempt(record: ClaimRecord, run: RunIdentity) -> bool:
    """Attempts of one workflow run never overlap, so an earlier one is dead. All laptop runs have the id 0, so
    theirs are unknown.
    """
    same_run = run.run_id > 0 and (record.repository, record.run_id) == (run.repository, run.run_id)
    return same_run and record.attempt < run.attempt


def is_alive(seen: Seen, run: RunIdentity, lease_seconds: float) -> bool:
    """Whether the run that holds the item may still be at work."""
    claim = seen.holder
    if claim is None or claim.record.state in DONE_STATES or seen.holder_finished:
        return False
    return not is_own_earlier_attempt(claim.record, run) and seen.now - claim.updated_at <= lease_seconds


def decide(item: WorkItem, run: RunIdentity, seen: Seen, lease_seconds: float) -> ClaimAction | Stopped:
    """TAKE: write a comment, lowest id wins. CONTINUE: go on with our own dead attempt's comment. WAIT: look again
    shortly. FINISH: the pull request is out, only its last steps are missing.

    A Stopped is `duplicate`, `declined` or `stale`; it is quiet when the comment on the issue says already how things
    are.
    """
    claim, same_text = seen.holder, seen.published is not None and seen.published.content == item.approval.content_hash
    if seen.open is None and seen.pull_requests:
        return _closed(seen.pull_requests[0], same_text)
    if claim is not None and is_alive(seen, run, lease_seconds):
        return _duplicate(
            f"Run {claim.record.run_id} (attempt {claim.record.attempt}) is working on this issue.",
            "Wait until it has ended.",
            quiet=True,
        )
    if seen.open is None and seen.in_the_way is not None:
        return untrusted_pull_request(seen.in_the_way)
    is_done = claim is not None and claim.record.state in DONE_STATES
    if seen.open is not None and same_text and seen.asked is None:
        if claim is not None and not is_done:
            return ClaimAction.FINISH
        return _duplicate(
            f"Pull request #{seen.open.number} already holds this very text of the issue, and no review asks for more "
            f"({seen.open.url}).",
            "Change the issue's text or review the pull request, then re-apply the label.",
            quiet=seen.published is not None and seen.published.key == item.key,
        )
    if claim is not None and is_own_earlier_attempt(claim.record, run):
        return ClaimAction.CONTINUE
    if seen.open is not None:
        return ClaimAction.TAKE
    if claim is not None and is_done and claim.record.key == item.key:
        return _duplicate(
            f"This approval was worked on by run {claim.record.run_id}, which ended without a pull request.",
            "Re-apply the label (or start the workflow again) for another try.",
            quiet=True,
        )
    return (
        ClaimAction.WAIT if seen.branch_exists and claim is None and seen.waited < GRACE_SECONDS else ClaimAction.TAKE
    )


def untrusted_pull_request(found: PullRequest) -> Stopped:
    """GitHub allows one open pull request for a branch and a base, and lets everybody open it who can read the
    repository.
    """
    return Stopped(
        Conclusion.STALE,
        f"Pull request #{found.number} of our branch was opened by an account that may not write to the repository "
        f"({found.url}).",
        "Close it, then re-apply the label.",
    )


def _closed(newest: PullRequest, same_text: bool) -> Stopped:
    if newest.merged and same_text:
        reason = f"Pull request #{newest.number} for this text was merged already ({newest.url})."
        return _duplicate(reason, "Nothing is left to do.")
    if newest.merged:
        return Stopped(
            Conclusion.DECLINED,
            f"Pull request #{newest.number} of this issue was merged already ({newest.url}); an issue has one pull "
            "request.",
            "Open a new issue for what is still missing.",
        )
    return Stopped(
        Conclusion.DECLINED,
        f"Pull request #{newest.number} was closed by a person without merging ({newest.url}); ops-agent does not "
        "reopen it.",
        "Reopen it (restore its branch if that was deleted) and re-apply the label, or open a new issue.",
    )
