"""Who may work on an item now: decisions only, over what `stages/claim.py` saw (docs/decisions/0002-claim-and-lock.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ops_agent.core.claims.claim_records import ClaimRecord, PullRequestRecord, SeenClaim
from ops_agent.domain.event import RunIdentity
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.proposal import PullRequest
from ops_agent.domain.work_item import WorkItem

GRACE_SECONDS = 10.0
"""How long the winner of the branch has to write its comment before another run may take over."""
LEASE_MARGIN_SECONDS = 600
"""Added to the run's own time limit; covers clocks that differ by up to ten minutes."""
DONE_STATES = ("published", "stopped")


class Step(StrEnum):
    """What a claiming run does next."""

    TAKE = "take"
    CONTINUE = "continue"
    WAIT = "wait"
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What GitHub showed.

    `pull_requests`: newest first, all of our branch that count; `strangers`: an open one that does not, because its author may not write,
    and that stands in the way of ours. `holder`: our comment in force; `holder_finished`: what is known of its run.
    `reviewed`: a writer reviewed the open pull request after its publication. `branch_exists` None: not looked yet.
    `waited`: seconds since the branch was first seen without a comment. `now`: epoch seconds.
    """

    pull_requests: tuple[PullRequest, ...] = ()
    strangers: PullRequest | None = None
    published: PullRequestRecord | None = None
    reviewed: bool = False
    holder: SeenClaim | None = None
    holder_finished: bool | None = None
    branch_exists: bool | None = None
    waited: float = 0.0
    now: float = 0.0

    @property
    def open(self) -> PullRequest | None:
        return next((p for p in self.pull_requests if p.is_open), None)


def branch_name(prefix: str, item: WorkItem) -> str:
    """`{prefix}{number}`; an issue of another repository than the target gets its id appended, so that equal numbers do not meet."""
    issue = item.issue
    own = issue.ref.repository.casefold() == item.target.full_name.casefold()
    return f"{prefix}{issue.ref.number}" if own else f"{prefix}{issue.ref.number}-{issue.id}"


def is_our_branch(branch: str, prefix: str, item: WorkItem) -> bool:
    """Whether `branch` may be written at all (J02, J03): our shape, and neither the base nor the default branch."""
    shape = re.fullmatch(re.escape(prefix) + r"[0-9]+(-[0-9]+)?", branch)
    return bool(prefix) and shape is not None and branch not in (item.base_branch, item.target.default_branch)


def is_own_earlier_attempt(record: ClaimRecord, run: RunIdentity) -> bool:
    """Attempts of one workflow run never overlap, so an earlier one is dead. A laptop run (id 0) cannot be told from another."""
    same_run = run.run_id > 0 and (record.repository, record.run_id) == (run.repository, run.run_id)
    return same_run and record.attempt < run.attempt


def is_alive(seen: Seen, run: RunIdentity, lease_seconds: float) -> bool:
    """Whether the run that holds the item may still be at work."""
    claim = seen.holder
    if claim is None or claim.record.state in DONE_STATES or is_own_earlier_attempt(claim.record, run) or seen.holder_finished is True:
        return False
    return seen.now - claim.updated_at <= lease_seconds


def decide(item: WorkItem, run: RunIdentity, seen: Seen, lease_seconds: float) -> Step | Stopped:
    """TAKE: write a comment, lowest id wins. CONTINUE: go on with our own dead attempt's comment. WAIT: look again shortly.

    FINISH: the pull request is out, only its last steps are missing. A Stopped is `duplicate` or `declined`; nothing is written for it.
    """
    content, claim = item.approval.content_hash, seen.holder
    if seen.open is None and seen.pull_requests:
        return _closed(seen.pull_requests[0], seen.published, content)
    if claim is not None and is_alive(seen, run, lease_seconds):
        return _duplicate(
            f"Run {claim.record.run_id} (attempt {claim.record.attempt}) is working on this issue.", "Wait until it has ended."
        )
    if seen.open is None and seen.strangers is not None:
        return stranger_in_the_way(seen.strangers)
    mine = claim is not None and is_own_earlier_attempt(claim.record, run)
    if seen.open is not None:
        if seen.published is None or seen.published.content != content or seen.reviewed:
            return Step.CONTINUE if mine else Step.TAKE
        if claim is not None and claim.record.state not in DONE_STATES:
            return Step.FINISH
        return _duplicate(
            f"Pull request #{seen.open.number} already holds this very text of the issue, and no review asks for more ({seen.open.url}).",
            "Change the issue's text or review the pull request, then put the label again.",
        )
    if mine:
        return Step.CONTINUE
    if claim is not None and claim.record.key == item.key and claim.record.state in DONE_STATES:
        return _duplicate(
            f"This approval was worked on by run {claim.record.run_id}, which ended without a pull request.",
            "Put the label again (or start the workflow again) for another try.",
        )
    if seen.branch_exists and claim is None and seen.waited < GRACE_SECONDS:
        return Step.WAIT
    return Step.TAKE


def stranger_in_the_way(found: PullRequest) -> Stopped:
    """GitHub allows one open pull request for a branch and a base, and lets everybody open it who can read the repository."""
    return Stopped(
        conclusion=Conclusion.STALE,
        reason=f"Pull request #{found.number} of our branch was opened by somebody who may not write to the repository ({found.url}).",
        remedy="Close it, then put the label again.",
    )


def _closed(newest: PullRequest, published: PullRequestRecord | None, content: str) -> Stopped:
    if newest.merged:
        if published is not None and published.content == content:
            return _duplicate(f"Pull request #{newest.number} for this text was merged already ({newest.url}).", "Nothing is left to do.")
        return Stopped(
            conclusion=Conclusion.DECLINED,
            reason=f"Pull request #{newest.number} of this issue was merged already ({newest.url}); an issue has one pull request.",
            remedy="Open a new issue for what is still missing.",
        )
    return Stopped(
        conclusion=Conclusion.DECLINED,
        reason=f"Pull request #{newest.number} was closed by a person without merging ({newest.url}); ops-agent does not reopen it.",
        remedy="Reopen it (restore its branch if that was deleted) and put the label again, or open a new issue.",
    )


def _duplicate(reason: str, remedy: str) -> Stopped:
    return Stopped(conclusion=Conclusion.DUPLICATE, reason=reason, remedy=remedy)
