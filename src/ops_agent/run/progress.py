"""The one comment on the issue that tells how the run goes; edited in place, never the reason why a run fails."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ops_agent.config.settings import Settings
from ops_agent.issue.claims import ClaimRecord
from ops_agent.model.errors import GitHubError, NotFound
from ops_agent.model.event import RunIdentity
from ops_agent.model.ports import World
from ops_agent.model.proposal import Claim
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.progress import now_line, progress_comment

SECONDS_BETWEEN_EDITS = 20.0


class Phase(StrEnum):
    """How far a run is; also the `state` of its claim. PUBLISHED and STOPPED free the item for the next approval."""

    CLAIMED = "claimed"
    WORKING = "working"
    VERIFYING = "verifying"
    PUBLISHED = "published"
    STOPPED = "stopped"


@dataclass(slots=True)
class _LastEdit:
    phase: Phase
    at: float
    lost: bool = False


# The stages are functions and a Claim is frozen, so how long ago this process edited which comment is remembered here.
_last_edits: dict[tuple[str, int, int, int], _LastEdit] = {}


def tell(world: World, item: WorkItem, claim: Claim, run: RunIdentity, phase: Phase, text: str) -> None:
    """Say in the comment what is going on: at once for a new phase, else at most every 20 seconds of the world's clock.

    `text` is one line, from any source. A failure is a warning; a comment that was deleted is left alone.
    """
    write(world, item, claim, run, phase, now_line(world.redact(text)))


def write(world: World, item: WorkItem, claim: Claim, run: RunIdentity, phase: Phase, says: str) -> None:
    """As `tell`, with finished Markdown that is neutral and redacted already."""
    if claim.comment_id is None:
        return
    key = _key(item, claim.comment_id, run)
    now, last = world.clock.monotonic(), _last_edits.get(key)
    soon = last is not None and last.phase is phase and now - last.at < SECONDS_BETWEEN_EDITS
    if last is not None and (last.lost or (soon and phase not in (Phase.PUBLISHED, Phase.STOPPED))):
        return
    edit = _LastEdit(phase, now)
    _last_edits[key] = edit
    try:
        world.issues.update_comment(
            item.issue.ref.repository, claim.comment_id, comment_text(item, claim, run, phase, says)
        )
    except GitHubError as error:
        edit.lost = isinstance(error, NotFound)
        world.reporter.annotate("warning", f"The progress comment could not be edited: {error}")


def begin(item: WorkItem, comment_id: int, run: RunIdentity) -> None:
    """A claim begins: nothing is remembered of its comment."""
    _last_edits.pop(_key(item, comment_id, run), None)


def _key(item: WorkItem, comment_id: int, run: RunIdentity) -> tuple[str, int, int, int]:
    return item.issue.ref.repository, comment_id, run.run_id, run.attempt


def comment_text(item: WorkItem, claim: Claim, run: RunIdentity, phase: Phase, says: str, after: int = 0) -> str:
    """The comment's whole body; `after` is the comment that it replaces."""
    return progress_comment(record_of(item, claim, run, phase, after), item, run, claim.notes, says)


def record_of(item: WorkItem, claim: Claim, run: RunIdentity, phase: Phase, after: int = 0) -> ClaimRecord:
    return ClaimRecord(
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


# The card on the project board: Ready -> In Progress at the claim, back on failure. Nothing here moves a card to Done.


def start(world: World, settings: Settings, item: WorkItem) -> str:
    """Move the card to In Progress. Empty when done, else one sentence with the intended column, warned about once."""
    return _move(world, item, settings.board.status_in_progress)


def review(world: World, settings: Settings, item: WorkItem) -> str:
    """Move the card to the review status after publication, where one is configured."""
    return _move(world, item, settings.board.status_review) if settings.board.status_review else ""


def put_back(world: World, settings: Settings, item: WorkItem) -> None:
    """Put the card back to Ready, but only from In Progress: where a person put it, it stays."""
    try:
        card = world.board.card(item.issue)
        if not isinstance(card, str) and _same(card.status, settings.board.status_in_progress):
            problem = world.board.move(card, settings.board.status_ready)
            if problem:
                world.reporter.annotate("warning", f"{problem} The intended column is {settings.board.status_ready}.")
    except GitHubError as error:
        world.reporter.annotate("warning", f"The card could not be put back to {settings.board.status_ready}: {error}")


def _move(world: World, item: WorkItem, status: str) -> str:
    try:
        card = world.board.card(item.issue)
        if not isinstance(card, str) and _same(card.status, status):
            return ""
        problem = card if isinstance(card, str) else world.board.move(card, status)
    except GitHubError as error:
        problem = str(error)
    if not problem:
        return ""
    note = f"{problem} The intended column is **{status}**."
    world.reporter.annotate("warning", note)
    return note


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()
