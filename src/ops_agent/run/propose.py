"""Propose: the pull request's text, from what was verified. Text only; nothing is written anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ops_agent.config.settings import Settings
from ops_agent.issue.claims import as_patch, is_workflow, split_by_abilities
from ops_agent.model.change_set import ChangeSet
from ops_agent.model.conversation import Transcript
from ops_agent.model.errors import GitHubError
from ops_agent.model.event import IssueRef, RunIdentity
from ops_agent.model.finding import Verdict
from ops_agent.model.ports import World
from ops_agent.model.proposal import Claim, Proposal, PullRequest
from ops_agent.model.verification import Verification
from ops_agent.model.work_item import WorkItem
from ops_agent.pages.messages import message
from ops_agent.pages.pull_request import Material, build_proposal
from ops_agent.text.markdown import code


def propose(
    world: World,
    settings: Settings,
    item: WorkItem,
    claim: Claim,
    changes: ChangeSet,
    verdict: Verdict,
    verification: Verification,
    transcript: Transcript,
    run: RunIdentity | None = None,
) -> Proposal:
    """The proposal of `changes`: a draft when a check failed, the guard blocks or the agent did not finish.

    Raises RedactionFailed: then nothing may be published.
    """
    left = ChangeSet(base_commit=changes.base_commit, changes=())
    if any(is_workflow(path) for path in changes.paths):
        _, left = split_by_abilities(changes, world.issues.token_abilities(item.target.full_name))
    proposal = build_proposal(
        Material(
            item=item,
            claim=claim,
            changes=changes,
            verdict=verdict,
            verification=verification,
            transcript=transcript,
            redact=world.redact,
            template=message("pull_request"),
            title_prefix=settings.labels.title_prefix,
            run=run,
            left_out=left.paths,
            patch=as_patch(left) if left.changes else "",
        )
    )
    return replace(proposal, draft={"true": True, "false": False}.get(settings.draft, proposal.draft))


# Open pull requests of ours that touch the same files: said in both.

_MOST_PULL_REQUESTS = 30
_MOST_PATHS = 5
_MOST_SENTENCES = 5
_MOST_OF_A_PATH = 100
_WHAT_TO_DO = (
    "Merge one first. Then merge the base branch into the other's branch, settle what conflicts, and plan it again: "
    "neither plan knows of "
    "the other change. Or close the other and open a new issue for it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Another open pull request of ours and the files that both change."""

    number: int
    url: str
    paths: tuple[str, ...]

    @property
    def sentence(self) -> str:
        shown = ", ".join(code(path[-_MOST_OF_A_PATH:]) for path in self.paths[:_MOST_PATHS])
        more = f" and {len(self.paths) - _MOST_PATHS} more" if len(self.paths) > _MOST_PATHS else ""
        return f"changes files in common: {shown}{more}."


def in_sentences(overlaps: tuple[Overlap, ...]) -> tuple[str, ...]:
    """For the pull request's text, whose room is limited: the first few, how many more there are, and what to do; empty
    without any.
    """
    if not overlaps:
        return ()
    more = len(overlaps) - _MOST_SENTENCES
    rest = (f"{more} more open pull requests of ops-agent change files in common.",) if more > 0 else ()
    return (*(f"#{overlap.number} {overlap.sentence}" for overlap in overlaps[:_MOST_SENTENCES]), *rest, _WHAT_TO_DO)


def find_overlaps(
    world: World, settings: Settings, item: WorkItem, branch: str, paths: tuple[str, ...]
) -> tuple[Overlap, ...]:
    """One call, and one more for each open pull request of ours (at most 30). Not being able to look is a warning, not
    a failure.
    """
    repository = item.target.full_name
    found = []
    try:
        others = [
            p
            for p in world.pull_requests.open_with_prefix(repository, settings.branch_prefix)
            if p.head_branch != branch
        ]
        for other in others[:_MOST_PULL_REQUESTS]:
            common = sorted(set(world.pull_requests.files(repository, other.number)) & set(paths))
            if common:
                found.append(Overlap(number=other.number, url=other.url, paths=tuple(common)))
    except GitHubError as error:
        world.reporter.annotate("warning", f"Open pull requests could not be compared: {error}")
    return tuple(found)


def tell_the_other(world: World, other: IssueRef, pull_request: PullRequest, overlap: Overlap) -> None:
    """One comment on the other pull request, once: found again by marker and author id."""
    marker = f"<!-- ops-agent:overlap {pull_request.number} -->"
    mine = world.issues.viewer().id
    if any(c.author.id == mine and c.body.startswith(marker) for c in world.issues.comments(other)):
        return
    world.issues.create_comment(
        other, world.redact(f"{marker}\n#{pull_request.number} {overlap.sentence} {_WHAT_TO_DO}\n")
    )
