"""Whose pull requests of our branch count. Anybody who can read a repository can open one between two of its branches, and write a record
like ours into its body (godotengine/godot#6971, github/docs#7730)."""

from __future__ import annotations

from dataclasses import dataclass

from ops_agent.domain.event import ActorKind
from ops_agent.domain.proposal import PullRequest
from ops_agent.domain.work_item import WorkItem
from ops_agent.ports import World
from ops_agent.settings import Settings
from ops_agent.stages.people import People


@dataclass(frozen=True, slots=True, kw_only=True)
class OfOurBranch:
    """`counting`: ours, those of people who may write, what was merged, and what another bot had closed; newest first.

    `strangers`: somebody else's that is open to the same base, so that ours cannot be opened.
    """

    counting: tuple[PullRequest, ...]
    strangers: PullRequest | None


def of_our_branch(world: World, settings: Settings, item: WorkItem, branch: str) -> OfOurBranch:
    """One request, and one more for each other author."""
    found = world.code_host.pull_requests_of_branch(item.target.full_name, branch)
    people = People(world.code_host, settings)
    open_to_us = {p.number: _may_write(world, people, item, p) for p in found}
    return OfOurBranch(
        counting=tuple(p for p in found if open_to_us[p.number] or p.merged or (not p.is_open and _is_bots(p))),
        strangers=next((p for p in found if p.is_open and p.base_branch == item.base_branch and not open_to_us[p.number]), None),
    )


def is_strangers(world: World, settings: Settings, item: WorkItem, pull_request: PullRequest) -> bool:
    """Whether the author is neither us nor somebody who may write."""
    return not _may_write(world, People(world.code_host, settings), item, pull_request)


def _may_write(world: World, people: People, item: WorkItem, pull_request: PullRequest) -> bool:
    author = pull_request.author
    return author is not None and (author.id == world.code_host.viewer().id or people.may_write(item.target.full_name, author))


def _is_bots(pull_request: PullRequest) -> bool:
    """Perhaps ours, from before the token was changed: what a person closed stays closed (M06)."""
    return pull_request.author is not None and pull_request.author.kind is ActorKind.BOT
