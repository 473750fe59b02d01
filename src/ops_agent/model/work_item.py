"""An admitted request: whose approval, which bytes, what it asks for; and the claim to work on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from ops_agent.model.event import Actor, Issue, IssueRef, PullRequest, Repository
from ops_agent.model.review import ReviewRound

ALLOW_DESTROY: Final = "allow-destroy"
ALLOW_ACCESS: Final = "allow-access"
PERMITTING_LABELS: Final = (ALLOW_DESTROY, ALLOW_ACCESS)
"""Labels with which a person with write permission allows what a rule over plans forbids."""


def content_hash(title: str, body: str) -> str:
    """SHA-256 (hex) of the words that a person approved; line endings do not count, GitHub's editor changes them."""
    text = f"{title}\x00{body}".replace("\r\n", "\n")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The act that started the run: a label by a writer (`event_id` from the timeline) or a dispatch (the run's id).

    `label` is the label that was applied; empty for a dispatch.
    """

    by: Actor
    event_id: int
    at: str
    content_hash: str
    by_dispatch: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """An acceptance criterion in the author's words; `id` is `AC1`, `AC2`, ... in order of appearance."""

    id: str
    text: str
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A user's text after cleaning, and how many hidden things of each sort were removed (`{"html comment": 2}`)."""

    text: str
    removed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The parsed text of an issue. Nothing here is raw: every string is cleaned. `beside_criteria` are paragraphs and
    quotations that stand between the criteria.
    """

    description: str
    user_stories: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    beside_criteria: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One admitted issue: `issue` is the approved snapshot (raw text, never shown to the llm), the rest is cleaned.

    `target` is the repository that is changed, `base_branch` the branch the pull request goes to; `warnings` are shown
    in comment and pull request. `labels_by_writers` are labels on the issue that a person with write permission put
    (`PERMITTING_LABELS` count only there).
    """

    issue: Issue
    title: str
    request: Request
    removed: dict[str, int]
    approval: Approval
    target: Repository
    base_branch: str
    parent: IssueRef | None = None
    labels_by_writers: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def own_repository(self) -> str:
        """The repository whose numbers mean the same on the issue and in the pull request; empty when these are two."""
        name = self.issue.ref.repository
        return name if name.casefold() == self.target.full_name.casefold() else ""

    @property
    def key(self) -> str:
        """Idempotency key: (repository id, issue number, approving event, content)."""
        parts = (self.target.id, self.issue.ref, self.approval.event_id, self.approval.content_hash)
        return hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on one item: our branch, made from or merged with `base_commit`, and the comment that shows the
    progress.

    `head_commit` is the branch's newest commit (`base_commit` for a new branch): the work goes on from there.
    `conflicts`: it could not be merged with `base_commit`, so that this is left to do. `others` are its commits by
    people. `existing` is the open pull request that is continued, `round` what writers asked for on it; `notes` are
    sentences that the comment repeats through the run.
    """

    branch: str
    base_commit: str
    head_commit: str
    comment_id: int | None
    existing: PullRequest | None = None
    round: ReviewRound | None = None
    conflicts: bool = False
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
