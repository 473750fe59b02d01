"""The last steps of a publication, each repeatable: labels, other pull requests, board, comment. Failures are warnings
(M20).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ops_agent.config.settings import Settings
from ops_agent.model.errors import GitHubError
from ops_agent.model.event import ActorKind, IssueRef, RunIdentity
from ops_agent.model.ports import World
from ops_agent.model.proposal import Claim, PullRequest
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.progress import published_text
from ops_agent.run.admit import People
from ops_agent.run.progress import Phase, review, write
from ops_agent.run.propose import Overlap, find_overlaps, tell_the_other


def conclude(
    world: World,
    settings: Settings,
    item: WorkItem,
    claim: Claim,
    run: RunIdentity,
    pull_request: PullRequest,
    labels: tuple[str, ...],
    paths: tuple[str, ...],
    warnings: tuple[str, ...],
    overlaps: tuple[Overlap, ...] | None = None,
) -> tuple[str, ...]:
    """Everything after the pull request exists; returns all warnings. The comment's state `published` comes last and
    says that all is done.

    `paths` are the files of the pull request; `overlaps` None: not looked for yet.
    """
    problems = list(warnings)
    repository = item.target.full_name

    def attempt(what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except GitHubError as error:
            problems.append(f"{what}: {error}")
            world.reporter.annotate("warning", problems[-1])

    missing = tuple(label for label in dict.fromkeys(labels) if label not in pull_request.labels)
    if missing:
        attempt(
            "The labels could not be put", lambda: world.issues.add_labels(repository, pull_request.number, missing)
        )
    found = find_overlaps(world, settings, item, claim.branch, paths) if overlaps is None else overlaps
    for overlap in found:
        other = IssueRef(repository=repository, number=overlap.number)
        attempt(
            f"#{overlap.number} could not be told about files in common",
            partial(tell_the_other, world, other, pull_request, overlap),
        )
    note = review(world, settings, item)
    if note:
        problems.append(note)
    says = world.redact(published_text(pull_request, item, claim.existing is not None, tuple(problems)))
    write(world, item, claim, run, Phase.PUBLISHED, says)
    return tuple(problems)


# Whose pull requests of our branch count. Anybody who can read a repository can open one between two of its branches,
# and write a record like ours into its body (godotengine/godot#6971, github/docs#7730).


@dataclass(frozen=True, slots=True, kw_only=True)
class OfOurBranch:
    """`counting`: ours, those of people who may write, what was merged, and what another bot had closed; newest first.

    `strangers`: somebody else's that is open to the same base, so that ours cannot be opened.
    """

    counting: tuple[PullRequest, ...]
    strangers: PullRequest | None


def of_our_branch(world: World, settings: Settings, item: WorkItem, branch: str) -> OfOurBranch:
    """One request, and one more for each other author."""
    found = world.pull_requests.of_branch(item.target.full_name, branch)
    people = People(world.issues, settings)
    open_to_us = {p.number: _may_write(world, people, item, p) for p in found}
    return OfOurBranch(
        counting=tuple(p for p in found if open_to_us[p.number] or p.merged or (not p.is_open and _is_bots(p))),
        strangers=next(
            (p for p in found if p.is_open and p.base_branch == item.base_branch and not open_to_us[p.number]), None
        ),
    )


def is_strangers(world: World, settings: Settings, item: WorkItem, pull_request: PullRequest) -> bool:
    """Whether the author is neither us nor somebody who may write."""
    return not _may_write(world, People(world.issues, settings), item, pull_request)


def _may_write(world: World, people: People, item: WorkItem, pull_request: PullRequest) -> bool:
    author = pull_request.author
    return author is not None and (
        author.id == world.issues.viewer().id or people.may_write(item.target.full_name, author)
    )


def _is_bots(pull_request: PullRequest) -> bool:
    """Perhaps ours, from before the token was changed: what a person closed stays closed (M06)."""
    return pull_request.author is not None and pull_request.author.kind is ActorKind.BOT
