"""The last steps of a publication, each repeatable: labels, other pull requests, board, comment. Failures are warnings (M20)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ops_agent.core.claims.progress_text import published_text
from ops_agent.domain.event import IssueRef, RunIdentity
from ops_agent.domain.proposal import Claim, PullRequest
from ops_agent.domain.work_item import WorkItem
from ops_agent.errors import GitHubError
from ops_agent.ports import World
from ops_agent.settings import Settings
from ops_agent.stages.board import review
from ops_agent.stages.overlaps import Overlap, find_overlaps, tell_the_other
from ops_agent.stages.progress import Phase, write


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
    """Everything after the pull request exists; returns all warnings. The comment's state `published` comes last and says that all is done.

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
        attempt("The labels could not be put", lambda: world.code_host.add_labels(repository, pull_request.number, missing))
    found = find_overlaps(world, settings, item, claim.branch, paths) if overlaps is None else overlaps
    for overlap in found:
        other = IssueRef(repository=repository, number=overlap.number)
        attempt(f"#{overlap.number} could not be told about files in common", partial(tell_the_other, world, other, pull_request, overlap))
    note = review(world, settings, item)
    if note:
        problems.append(note)
    says = world.redact(published_text(pull_request, item, claim.existing is not None, tuple(problems)))
    write(world, item, claim, run, Phase.PUBLISHED, says)
    return tuple(problems)
