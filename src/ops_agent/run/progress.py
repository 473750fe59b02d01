"""What people see of a run while it works: one comment on the issue, and the card on the project board."""

from __future__ import annotations

from enum import StrEnum

from ops_agent.issue.claims import ClaimRecord
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import Issue, RunIdentity
from ops_agent.model.ports import Board, Reporter, World
from ops_agent.model.work_item import Claim, WorkItem
from ops_agent.pages.issue_comment import now_line, progress_comment

SECONDS_BETWEEN_EDITS = 20.0


class Phase(StrEnum):
    """How far a run is; also the `state` of its claim. PUBLISHED and STOPPED free the item for the next approval."""

    CLAIMED = "claimed"
    WORKING = "working"
    VERIFYING = "verifying"
    PUBLISHED = "published"
    STOPPED = "stopped"


class Progress:
    """An item that this run has claimed, and the comment on its issue that shows how the run goes, edited in place.

    A comment that cannot be edited is a warning and never stops a run; a deleted one is left alone.
    """

    def __init__(self, world: World, item: WorkItem, claim: Claim, run: RunIdentity) -> None:
        self.item, self.claim, self.run = item, claim, run
        self._issues, self._reporter, self._clock, self._redact = (
            world.issues,
            world.reporter,
            world.clock,
            world.redact,
        )
        self._phase: Phase | None = None
        self._edited_at = 0.0
        self._deleted = False

    def show(self, phase: Phase, text: str) -> None:
        """Show one line, from any source: at once for a new phase, else at most every 20 seconds."""
        self.write(phase, now_line(self._redact(text)))

    def write(self, phase: Phase, markdown: str) -> None:
        """As `show`, with finished Markdown, neutralised and redacted already. The last phases are always shown."""
        now, last = self._clock.monotonic(), phase in (Phase.PUBLISHED, Phase.STOPPED)
        soon = phase is self._phase and now - self._edited_at < SECONDS_BETWEEN_EDITS
        if self.claim.comment_id is None or self._deleted or (soon and not last):
            return
        self._phase, self._edited_at = phase, now
        text = comment_text(self.item, self.claim, self.run, phase, markdown)
        try:
            self._issues.update_comment(self.item.issue.ref.repository, self.claim.comment_id, text)
        except GitHubError as error:
            self._deleted = isinstance(error, NotFound)
            self._reporter.annotate("warning", f"The progress comment could not be edited: {error}")


def comment_text(
    item: WorkItem, claim: Claim, run: RunIdentity, phase: Phase, markdown: str = "", *, after: int = 0
) -> str:
    """The comment's whole body; `after` is the comment that it replaces."""
    record = ClaimRecord(
        key=item.key,
        content=item.approval.content_hash,
        repository=run.repository,
        run_id=run.run_id,
        attempt=run.attempt,
        state=phase.value,
        branch=claim.branch,
        base=claim.base_commit,
        after=after,
    )
    return progress_comment(record, item, run, claim.notes, markdown)


def move_card(
    board: Board,
    reporter: Reporter,
    issue: Issue,
    status: str,
    *,
    only_from: tuple[str, ...] | None = None,
    is_known: bool = False,
) -> str:
    """Move the card to `status`; with `only_from` only when it is in one of these: where a person put it, it stays.
    `is_known`: people were told already when the board cannot be used.

    Empty when that is done, else one sentence with the intended column, which is also a warning.
    """
    try:
        card = board.card(issue)
        if isinstance(card, str):
            problem = None if is_known else card
        elif _same(card.status, status) or not (only_from is None or any(_same(card.status, one) for one in only_from)):
            problem = None
        else:
            problem = board.move(card, status)
    except GitHubError as error:
        problem = str(error)
    if not problem:
        return ""
    note = f"{problem} The intended column is **{status}**."
    reporter.annotate("warning", note)
    return note


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()
