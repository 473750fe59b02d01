"""What GitHub reports: who did what to which issue or pull request. Shapes follow its webhook payload and REST API."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """`type` of a GitHub account (REST "simple user")."""

    USER = "User"
    BOT = "Bot"
    ORGANIZATION = "Organization"


class Permission(StrEnum):
    """A person's role on a repository (REST `role_name`); custom roles are mapped to the `permission` they grant."""

    ADMIN = "admin"
    MAINTAIN = "maintain"
    WRITE = "write"
    TRIAGE = "triage"
    READ = "read"
    NONE = "none"

    @property
    def may_write(self) -> bool:
        """True for write, maintain and admin: the people whose label is an approval."""
        return self in (Permission.ADMIN, Permission.MAINTAIN, Permission.WRITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A GitHub account. `id` is the identity; `login` can be renamed and reused."""

    login: str
    id: int
    kind: ActorKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository as the REST API describes it."""

    owner: str
    name: str
    id: int
    default_branch: str
    archived: bool = False
    disabled: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class IssueRef:
    """Where an issue lives. `repository` is `owner/name`."""

    repository: str
    number: int

    def __str__(self) -> str:
        return f"{self.repository}#{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue as it was read at one moment, from the payload or from the API. `body` is raw text from people.

    `open_blockers` counts the open issues that block it (REST `issue_dependencies_summary`), `sub_issues` its
    sub-issues (`sub_issues_summary`); None when not given.
    """

    ref: IssueRef
    id: int
    node_id: str
    title: str
    body: str
    is_open: bool
    is_pull_request: bool
    labels: tuple[str, ...]
    author: Actor
    url: str
    locked: bool = False
    open_blockers: int | None = None
    sub_issues: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueEvent:
    """One entry of an issue's timeline: `labeled`, `unlabeled`, `renamed`, `closed`, ... `at` is ISO 8601 UTC."""

    id: int
    kind: str
    actor: Actor | None
    at: str
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on an issue or pull request. Times are ISO 8601 UTC."""

    id: int
    author: Actor
    body: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """A pull request as the API describes it. `is_open` False with `merged` False means that a person closed it.

    Anybody who can read the repository may be its author, also for our branch; None: the account was deleted.
    `head_repository` is `owner/name` of where its head branch is; empty: that repository was deleted.
    `merge_commit` is what GitHub made to try the merge, perhaps of an older head or base; empty when it has conflicts.
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
    head_repository: str = ""
    merge_commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """`issues.labeled`: `sender` applied `label` to `issue`, whose text is what `sender` saw."""

    repository: Repository
    issue: Issue
    label: str
    sender: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """`workflow_dispatch`: `sender` named issues by hand; their text is read when the run starts."""

    repository: Repository
    sender: Actor
    issues: tuple[IssueRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """`issues.closed`: `issue`, which other issues may have waited for, was closed by `sender`.

    `only`: which of those this run is for; empty: all of them.
    """

    repository: Repository
    issue: Issue
    sender: Actor
    only: tuple[IssueRef, ...] = ()


Event = Labelled | Dispatched | Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestClosed:
    """`pull_request.closed` (or `pull_request_target.closed`): whether it was merged is read from GitHub."""

    repository: Repository
    number: int
    sender: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationAsked:
    """What `verify` works on: the pull requests `numbers`, or all of ours to `pushed_branch`, which has moved."""

    repository: Repository
    numbers: tuple[int, ...] = ()
    pushed_branch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """Which workflow run this is (`GITHUB_RUN_ID`, `GITHUB_RUN_ATTEMPT`, ...); a laptop run has `run_id` 0."""

    repository: str
    run_id: int
    attempt: int
    actor: str
    triggering_actor: str
    server_url: str = "https://github.com"

    @property
    def url(self) -> str:
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"
