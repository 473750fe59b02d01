"""The text of the pull request, and the pull request that it became."""

from __future__ import annotations

from dataclasses import dataclass

from ops_agent.model.event import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Title, body (at most 60,000 characters), commit message; `overflow` is what did not fit and goes to the job
    summary. `patch_only` are paths that are never committed: the body offers them as a patch.

    Every character that came from the llm or from Terraform is neutralised and redacted.
    """

    title: str
    body: str
    commit_headline: str
    commit_body: str
    draft: bool
    labels: tuple[str, ...] = ()
    overflow: str = ""
    patch_only: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request as the API describes it. `is_open` False with `merged` False means that a person closed it.

    `author` None: the account was deleted. Any account that can read the repository may be the author, also of one for our
    branch.
    """

    number: int
    node_id: str
    url: str
    title: str
    body: str
    head_branch: str
    head_commit: str
    base_branch: str
    is_open: bool
    merged: bool
    draft: bool
    labels: tuple[str, ...] = ()
    author: Actor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to work on one item: our branch at `base_commit`, and the comment that shows the progress.

    `head_commit` is the branch's newest commit (equal to `base_commit` for a new branch); `existing` is the open pull
    request that is updated; `notes` are sentences that the comment repeats through the run, e.g. the intended column of
    the board.
    """

    branch: str
    base_commit: str
    head_commit: str
    comment_id: int | None
    existing: PullRequest | None = None
    notes: tuple[str, ...] = ()
