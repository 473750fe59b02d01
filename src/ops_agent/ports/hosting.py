"""Where the code and the issues live: GitHub, or a folder on a laptop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ops_agent.domain.change_set import ChangeSet, TreeEntry
from ops_agent.domain.event import Actor, Comment, Issue, IssueEvent, IssueRef, Permission, Repository
from ops_agent.domain.proposal import PullRequest


class BaseTree(Protocol):
    """The files of one commit, from git's objects: no filters, no checkout, no symlink is ever followed."""

    commit: str

    def entries(self) -> Mapping[str, TreeEntry]:
        """Every entry by path (`/` separated, relative to the root). May be capped; a cap raises ConfigError."""

    def read(self, path: str) -> bytes:
        """The blob's bytes. Raises KeyError when `path` is not a regular file of the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAbilities:
    """What the token may do on one repository: True, False, or None when GitHub does not tell beforehand."""

    contents: bool | None
    pull_requests: bool | None
    issues: bool | None
    workflows: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A person's review of a pull request. `at` is ISO 8601 UTC; `verdict` is APPROVED, CHANGES_REQUESTED, COMMENTED, ..."""

    id: int
    author: Actor
    verdict: str
    body: str
    at: str


class CodeHost(Protocol):
    """GitHub's REST and GraphQL API. `repository` is `owner/name`. Lists are complete: paging is the adapter's affair."""

    def viewer(self) -> Actor:
        """The account that the token acts as (GraphQL `viewer`)."""

    def repository(self, repository: str) -> Repository: ...

    def permission(self, repository: str, login: str) -> Permission:
        """Role of a person; NONE when GitHub says that they have none. Other failures raise (the caller fails closed)."""

    def token_abilities(self, repository: str) -> TokenAbilities: ...

    def issue(self, ref: IssueRef) -> Issue:
        """Raises NotFound for 404, 410 and for a transferred issue (301 is never followed)."""

    def issue_events(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        """Timeline events, oldest first."""

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        """In the parent's order; may name other repositories."""

    def parent(self, ref: IssueRef) -> IssueRef | None: ...

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        """Issues that this one is `blocked_by`, open or closed."""

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]: ...

    def create_comment(self, ref: IssueRef, body: str) -> Comment: ...

    def update_comment(self, repository: str, comment_id: int, body: str) -> None: ...

    def delete_comment(self, repository: str, comment_id: int) -> None: ...

    def branch_head(self, repository: str, branch: str) -> str | None:
        """Commit that the branch points at, None when there is no such branch."""

    def create_branch(self, repository: str, branch: str, commit: str) -> bool:
        """Create `refs/heads/{branch}`; False when it already exists (this is the lock). Never moves a ref."""

    def delete_branch(self, repository: str, branch: str) -> None: ...

    def branch_commits(self, repository: str, base: str, head: str) -> tuple[tuple[str, Actor | None], ...]:
        """(commit, author) of the commits on head that are not on base, oldest first."""

    def base_tree(self, repository: str, commit: str) -> BaseTree: ...

    def commit_changes(self, repository: str, branch: str, expected_head: str, headline: str, body: str, changes: ChangeSet) -> str:
        """GraphQL `createCommitOnBranch`; returns the new commit. Raises Conflict when the head moved, NeedsWorkflowsPermission."""

    def pull_requests_of_branch(self, repository: str, branch: str) -> tuple[PullRequest, ...]:
        """All pull requests (open and closed) whose head is this branch of this repository, newest first."""

    def open_pull_requests(self, repository: str, branch_prefix: str) -> tuple[PullRequest, ...]:
        """Open pull requests whose head branch starts with `branch_prefix`."""

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]: ...

    def reviews(self, repository: str, number: int) -> tuple[Review, ...]: ...

    def create_pull_request(self, repository: str, head: str, base: str, title: str, body: str, draft: bool) -> PullRequest: ...

    def update_pull_request(self, repository: str, number: int, title: str, body: str) -> PullRequest: ...

    def set_draft(self, pull_request: PullRequest, draft: bool) -> None: ...

    def add_labels(self, repository: str, number: int, labels: tuple[str, ...]) -> None: ...

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        """Whether a workflow run has ended; None when the token may not know."""

    def resolve_action(self, uses: str, ref: str) -> str | None:
        """Commit of an action's tag or branch (`actions/checkout`, `v4`), None when it does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCard:
    """An issue's item on the project board. `options` are the board's statuses as (option id, name)."""

    item_id: str
    project_id: str
    field_id: str
    status: str | None
    options: tuple[tuple[str, str], ...]


class Board(Protocol):
    """GitHub Projects v2, found from the issue's side."""

    def card(self, issue: Issue) -> BoardCard | str:
        """The issue's card, or one sentence that says why the board cannot be used (no access, no such project, not on it)."""

    def cards_of(self, issues: tuple[Issue, ...]) -> Mapping[IssueRef, BoardCard | str]:
        """The same for many issues at once."""

    def move(self, card: BoardCard, status: str) -> str | None:
        """Set the status (name matched without case). None when done, else one sentence that says why not."""
