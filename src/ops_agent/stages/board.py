"""The card on the project board: Ready -> In Progress at the claim, back on failure. Nothing here moves a card to Done."""

from __future__ import annotations

from ops_agent.domain.work_item import WorkItem
from ops_agent.errors import GitHubError
from ops_agent.ports import World
from ops_agent.settings import Settings


def start(world: World, settings: Settings, item: WorkItem) -> str:
    """Move the card to In Progress. Empty when done, else one sentence with the intended column, warned about once."""
    return _move(world, item, settings.status_in_progress)


def review(world: World, settings: Settings, item: WorkItem) -> str:
    """Move the card to the review status after publication, where one is configured."""
    return _move(world, item, settings.status_review) if settings.status_review else ""


def put_back(world: World, settings: Settings, item: WorkItem) -> None:
    """Put the card back to Ready, but only from In Progress: where a person put it, it stays."""
    try:
        card = world.board.card(item.issue)
        if not isinstance(card, str) and _same(card.status, settings.status_in_progress):
            problem = world.board.move(card, settings.status_ready)
            if problem:
                world.reporter.annotate("warning", f"{problem} The intended column is {settings.status_ready}.")
    except GitHubError as error:
        world.reporter.annotate("warning", f"The card could not be put back to {settings.status_ready}: {error}")


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
