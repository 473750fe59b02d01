"""Whether an item is ready: the board's status where it can be read, else the label that bears the status's name."""

from __future__ import annotations

from ops_agent.domain.event import Issue
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.ports import BoardCard
from ops_agent.settings import Settings


def stands_for_ready(settings: Settings, label: str) -> bool:
    """True for `ready` and for a label named like the board's status; `[ops]` as a label says whose work it is, not that it is ready."""
    return label.casefold() in ("ready", settings.status_ready.casefold())


def board_complaint(settings: Settings, card: BoardCard | str) -> str | None:
    """Why the board cannot be a gate (M13: no access, not on it, no such column), None when it can."""
    if isinstance(card, str):
        return card.rstrip(".")
    if not any(name.casefold() == settings.status_ready.casefold() for _, name in card.options):
        return f"the board has no status `{settings.status_ready}`"
    return None


def is_ready(settings: Settings, card: BoardCard) -> bool:
    return (card.status or "").casefold() == settings.status_ready.casefold()


def was_started(settings: Settings, card: BoardCard) -> bool:
    """True for the statuses that ops-agent itself gives; with a branch of ours they mean that the item was Ready once."""
    started = {name.casefold() for name in (settings.status_in_progress, settings.status_review) if name}
    return (card.status or "").casefold() in started


def readiness(
    settings: Settings, issue: Issue, card: BoardCard | str, *, dispatched: bool, ready_label: bool, claimed_before: bool
) -> tuple[str, ...] | Stopped:
    """Warnings (none when the board says Ready), or the reason why the item is not ready.

    `ready_label`: a writer put the label that stands for the status. `dispatched`: a writer named this item by hand, which stands for it
    too. `claimed_before`: our branch for the item exists, so that a re-run or a new approval may go on from In Progress.
    """
    complaint = board_complaint(settings, card)
    if complaint is None and isinstance(card, BoardCard):
        if is_ready(settings, card) or (claimed_before and was_started(settings, card)):
            return ()
        status = f"`{card.status}`" if card.status else "a column without a status"
        return Stopped(
            conclusion=Conclusion.DECLINED,
            reason=f"{issue.ref} stands in {status} on the board, not in `{settings.status_ready}`.",
            remedy=f"Move it to `{settings.status_ready}` when it may be worked on, and put the label again.",
        )
    if ready_label or dispatched:
        by = "the label `ready`" if ready_label else "the dispatch"
        return (f"The board was not used ({complaint}); {by} stands for `{settings.status_ready}`.",)
    return Stopped(
        conclusion=Conclusion.DECLINED,
        reason=f"Whether {issue.ref} is ready is not known: the board was not used ({complaint}) and no writer put the label `ready`.",
        remedy="Put the label `ready` on it, or give the token access to the board.",
    )
