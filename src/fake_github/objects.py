"""What people see on GitHub: issues, pull requests, boards, repositories, and the platform that holds them all.

Every method is an action of a person or a program: it changes the state under the lock and leaves the trace that
GitHub leaves.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fake_github.accounts import ACTIONS_BOT, GHOST, READ, ROLES, WRITE, Account, AccountKind, Token, TokenKind
from fake_github.diffs import FileDiff, diff_files
from fake_github.faults import FaultPlan
from fake_github.git_objects import EXECUTABLE, FILE, SYMLINK, Entry, GitStore, Signature, iso
from fake_github.limits import RateLimit
from fake_github.recorder import Recorder
from fake_github.refusals import (
    Refusal,
    check_comment,
    check_issue_text,
    custom,
    invalid,
    rule_violated,
    unprocessable,
    workflow_permission_missing,
)
from ops_agent.text.merging import merged_text

SUB_ISSUE_LIMIT = 100


@dataclass(slots=True, eq=False)
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None

    @property
    def node_id(self) -> str:
        return f"LA_kwDO{self.id}"


@dataclass(slots=True, eq=False)
class Comment:
    id: int
    issue: Issue
    author: Account
    body: str
    created_at: str
    updated_at: str

    @property
    def node_id(self) -> str:
        return f"IC_kwDO{self.id}"

    def edit(self, body: str) -> None:
        check_comment(body)
        with self.issue.github.lock:
            self.body = body
            self.updated_at = self.issue.github.now()

    def delete(self) -> None:
        with self.issue.github.lock:
            self.issue.comments.remove(self)
            self.issue.timeline = [e for e in self.issue.timeline if e.details.get("comment") is not self]


@dataclass(slots=True, eq=False)
class TimelineEvent:
    """`kind` is GitHub's event name; `details` hold what the kind needs (label, rename, comment, source issue, ...)."""

    id: int
    kind: str
    actor: Account
    at: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def node_id(self) -> str:
        return f"EV_kwDO{self.id}"


class Issue:
    """An issue. Every method is a deed: it changes the state under the lock, and leaves GitHub's trace in the timeline.

    `by` is an account or a login that the platform knows.
    """

    is_pull_request = False

    def __init__(self, repository: Repository, number: int, title: str, body: str, author: Account) -> None:
        check_issue_text(title, body)
        self.repository = repository
        self.github: Platform = repository.github
        self.number = number
        self.id = self.github.next_id()
        self.title = title
        self.body = body
        self.author = author
        self.state = "open"
        self.state_reason: str | None = None
        self.labels: list[Label] = []
        self.comments: list[Comment] = []
        self.timeline: list[TimelineEvent] = []
        self.sub_issues: list[Issue] = []
        self.parent: Issue | None = None
        self.blocked_by: list[Issue] = []
        self.blocking: list[Issue] = []
        self.locked = False
        self.created_at = self.updated_at = self.github.now()
        self.edited_at: str | None = None
        self.closed_at: str | None = None
        self.closed_by: Account | None = None

    @property
    def node_id(self) -> str:
        return f"{'PR' if self.is_pull_request else 'I'}_kwDO{self.id}"

    @property
    def path(self) -> str:
        """Where people find it: `/owner/name/issues/1` or `/owner/name/pull/1`."""
        return f"/{self.repository.full_name}/{'pull' if self.is_pull_request else 'issues'}/{self.number}"

    @property
    def url(self) -> str:
        return self.github.base_url + self.path

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def record(self, kind: str, by: Account | str, **details: Any) -> TimelineEvent:
        """Append to the timeline and touch `updated_at`."""
        event = TimelineEvent(self.github.next_id(), kind, self.github.account(by), self.github.now(), details)
        self.timeline.append(event)
        self.updated_at = event.at
        return event

    def events(self, kind: str) -> list[TimelineEvent]:
        return [event for event in self.timeline if event.kind == kind]

    def edit(self, *, title: str | None = None, body: str | None = None, by: Account | str | None = None) -> None:
        """Change the text. A new title leaves `renamed` in the timeline; a new body leaves only `updated_at`, as on
        GitHub.
        """
        check_issue_text(title, body)
        with self.github.lock:
            actor = self.github.account(by) if by is not None else self.author
            if title is not None and title != self.title:
                self.record("renamed", actor, rename={"from": self.title, "to": title})
                self.title = title
            if body is not None and body != self.body:
                self.body = body
                self.updated_at = self.edited_at = self.github.now()

    def add_label(self, name: str, *, by: Account | str) -> TimelineEvent | None:
        """None when the label is on it already: GitHub sends no event then."""
        with self.github.lock:
            label = self.repository.label(name)
            if label in self.labels:
                return None
            self.labels.append(label)
            return self.record("labeled", by, label=label)

    def remove_label(self, name: str, *, by: Account | str) -> None:
        with self.github.lock:
            label = next((known for known in self.labels if known.name.lower() == name.lower()), None)
            if label is None:
                raise Refusal(404, "Label does not exist")
            self.labels.remove(label)
            self.record("unlabeled", by, label=label)

    def comment(self, body: str, *, by: Account | str) -> Comment:
        check_comment(body)
        with self.github.lock:
            author, at = self.github.account(by), self.github.now()
            comment = Comment(self.github.next_id(), self, author, body, at, at)
            self.comments.append(comment)
            self.record("commented", author, comment=comment)
            return comment

    def close(self, *, by: Account | str, reason: str = "completed") -> None:
        with self.github.lock:
            if self.state == "open":
                self.state, self.state_reason = "closed", reason
                self.closed_by = self.github.account(by)
                self.closed_at = self.record("closed", by).at

    def reopen(self, *, by: Account | str) -> None:
        with self.github.lock:
            if self.state == "closed":
                self.state, self.state_reason, self.closed_at, self.closed_by = "open", "reopened", None, None
                self.record("reopened", by)

    def lock(self, *, by: Account | str) -> None:
        with self.github.lock:
            self.locked = True
            self.record("locked", by)

    def add_sub_issue(self, child: Issue, *, by: Account | str | None = None) -> Issue:
        """Make `child` a sub-issue, last in order; returns the child. At most 100, one parent each, as on GitHub."""
        with self.github.lock:
            if len(self.sub_issues) >= SUB_ISSUE_LIMIT:
                raise custom("SubIssue", f"Parent cannot have more than {SUB_ISSUE_LIMIT} sub-issues")
            if child.parent is not None:
                raise custom("SubIssue", "Sub issue may only have one parent")
            child.parent = self
            self.sub_issues.append(child)
            self.record("sub_issue_added", by or self.author, sub_issue=child)
            child.record("parent_issue_added", by or self.author, parent_issue=self)
            return child

    def block(self, *blockers: Issue, by: Account | str | None = None) -> None:
        """Say that this issue waits for `blockers`."""
        with self.github.lock:
            for blocker in blockers:
                self.blocked_by.append(blocker)
                blocker.blocking.append(self)
                self.record("blocked_by_added", by or self.author, blocking_issue=blocker)

    def transfer(self, target: Repository) -> Issue:
        """Move to another repository; the old address answers 301. Returns the issue under its new address."""
        with self.github.lock:
            del self.repository.issues[self.number]
            self.repository.transferred[self.number] = self
            self.repository, self.number = target, target.next_number()
            target.issues[self.number] = self
            return self

    def delete(self) -> None:
        """The address answers 410 from now on."""
        with self.github.lock:
            del self.repository.issues[self.number]
            self.repository.deleted.add(self.number)


# A project board (Projects v2): a single-select field Status, and items that are issues.


COLUMNS = ("Backlog", "Ready", "In Progress", "In Review", "Done")


@dataclass(slots=True, eq=False)
class Card:
    """One item of a board. `status` is an option's id, None for no status."""

    id: int
    board: Board
    issue: Issue
    status: str | None
    updated_at: str
    archived: bool = False

    @property
    def node_id(self) -> str:
        return f"PVTI_lADO{self.id}"

    @property
    def column(self) -> str | None:
        return self.board.options.get(self.status) if self.status else None


class Board:
    """`field` is the name of the single-select field, `options` its options by id, in the order of the columns."""

    def __init__(self, github: Platform, owner: Account, number: int, title: str, columns: tuple[str, ...]) -> None:
        self.github = github
        self.owner = owner
        self.number = number
        self.title = title
        self.id = github.next_id()
        self.field_id = github.next_id()
        self.field = "Status"
        self.options = {f"{github.next_id():08x}": name for name in columns}
        self.cards: list[Card] = []
        self.closed = False
        self.created_at = self.updated_at = github.now()

    @property
    def node_id(self) -> str:
        return f"PVT_kwDO{self.id}"

    @property
    def field_node_id(self) -> str:
        return f"PVTSSF_lADO{self.field_id}"

    @property
    def path(self) -> str:
        return f"/orgs/{self.owner.login}/projects/{self.number}"

    def card(self, issue: Issue) -> Card | None:
        return next((card for card in self.cards if card.issue is issue), None)

    def column(self, issue: Issue) -> str | None:
        """Name of the column that the issue is in; None when it has no status or is not on the board."""
        card = self.card(issue)
        return card.column if card else None

    def add(self, issue: Issue) -> Card:
        """The issue's card; adding it again gives the same one, as on GitHub."""
        with self.github.lock:
            card = self.card(issue)
            if card is None:
                card = Card(self.github.next_id(), self, issue, None, self.github.now())
                self.cards.append(card)
            return card

    def put(self, issue: Issue, column: str) -> Card:
        """Add if needed, and move to the column of that exact name. Raises KeyError when there is none."""
        with self.github.lock:
            option = next((key for key, name in self.options.items() if name == column), None)
            if option is None:
                raise KeyError(f"the board has no column {column!r}; it has {', '.join(self.options.values())}")
            card = self.add(issue)
            card.status, card.updated_at = option, self.github.now()
            return card


# Pull requests: an issue with two branches, a diff, reviews and a merge.


# GitHub reads these keywords in the description of a pull request to the default branch, and in commit messages when
# they get there.
_CLOSING = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+"
    r"(?:(?P<repository>[\w.-]+/[\w.-]+)?#|\S+?//[^/\s]+/(?P<linked>[\w.-]+/[\w.-]+)/issues/)(?P<number>\d+)\b",
    re.IGNORECASE,
)


def closing_references(text: str, own_repository: str) -> list[tuple[str, int]]:
    """(repository, number) of each closing keyword in `text`, in order, without repetition."""
    found = ((m["repository"] or m["linked"] or own_repository, int(m["number"])) for m in _CLOSING.finditer(text))
    return list(dict.fromkeys(found))


@dataclass(slots=True, eq=False)
class Review:
    """`state` is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING."""

    id: int
    author: Account
    state: str
    body: str
    commit: str
    at: str
    edited_at: str | None = None


@dataclass(slots=True, eq=False)
class ReviewComment:
    """One comment in the files of a pull request; `review` is what it was sent with."""

    id: int
    thread: ReviewThread
    review: Review
    author: Account
    body: str
    at: str
    edited_at: str | None = None

    def edit(self, body: str) -> None:
        self.body, self.edited_at = body, self.thread.pull.github.now()


@dataclass(slots=True, eq=False)
class ReviewThread:
    """What people said about one line. `hunk` ends with that line, `commit` is the head that it was said about."""

    id: int
    pull: PullRequest
    path: str
    line: int
    hunk: str
    commit: str
    comments: list[ReviewComment] = field(default_factory=list)
    is_resolved: bool = False

    @property
    def is_outdated(self) -> bool:
        """Whether the file has changed since. GitHub looks at the line."""
        files = self.pull.repository.store.files
        return files(self.commit).get(self.path) != files(self.pull.head_commit).get(self.path)


class PullRequest(Issue):
    is_pull_request = True

    def __init__(
        self,
        repository: Repository,
        number: int,
        title: str,
        body: str,
        author: Account,
        *,
        head: str,
        base: str,
        draft: bool,
    ) -> None:
        super().__init__(repository, number, title, body, author)
        self.pull_id = self.github.next_id()
        self.head = head
        self.base = base
        self.draft = draft
        self.merged_at: str | None = None
        self.merged_by: Account | None = None
        self.merge_commit: str | None = None
        self.trial_merge: str | None = None
        self.reviews: list[Review] = []
        self.threads: list[ReviewThread] = []
        self.fork: Repository | None = None
        """Where the head branch is, when it is in another repository."""
        self._head_when_gone = self._base_when_gone = ""

    @property
    def merged(self) -> bool:
        return self.merged_at is not None

    @property
    def head_commit(self) -> str:
        """The commit of the head branch, or its last one before the pull request was merged or the branch deleted."""
        if not self.merged and self.fork is None and self.head in self.repository.branches:
            self._head_when_gone = self.repository.branches[self.head]
        return self._head_when_gone

    @property
    def base_commit(self) -> str:
        if not self.merged and self.base in self.repository.branches:
            self._base_when_gone = self.repository.branches[self.base]
        return self._base_when_gone

    @property
    def commits(self) -> list[str]:
        return self.repository.store.ahead(self.base_commit, self.head_commit)

    @property
    def files(self) -> list[FileDiff]:
        """What the pull request changes, against the merge base as GitHub shows it."""
        store = self.repository.store
        base = store.merge_base(self.base_commit, self.head_commit)
        return diff_files(store, base, self.head_commit)

    @property
    def closes(self) -> list[Issue]:
        """Issues that a merge will close: none unless the base is the default branch."""
        if self.base != self.repository.default_branch:
            return []
        from fake_github.markdown import plain_text  # the parser's import is half of the server's start

        found = []
        for full_name, number in closing_references(plain_text(self.body), self.repository.full_name):
            repository = self.github.repositories.get(full_name.lower())
            issue = repository.issues.get(number) if repository else None
            if issue is not None and not issue.is_pull_request:
                found.append(issue)
        return found

    def set_draft(self, draft: bool, *, by: Account | str) -> None:
        with self.github.lock:
            if draft != self.draft:
                self.draft = draft
                self.record("convert_to_draft" if draft else "ready_for_review", by)

    def review(
        self,
        verdict: str,
        body: str = "",
        *,
        by: Account | str,
        lines: Mapping[tuple[str, int], str] | None = None,
    ) -> Review:
        """`lines` are comments by path and line: each begins a thread."""
        with self.github.lock:
            author, at = self.github.account(by), self.github.now()
            review = Review(self.github.next_id(), author, verdict, body, self.head_commit, at)
            self.reviews.append(review)
            self.record("reviewed", author, review=review)
            for (path, line), text in (lines or {}).items():
                content = (self.repository.file(self.head, path) or b"").decode().splitlines()
                hunk = "\n".join([f"@@ -0,0 +1,{len(content)} @@", *(f"+{one}" for one in content[:line])])
                thread = ReviewThread(self.github.next_id(), self, path, line, hunk, self.head_commit)
                self.threads.append(thread)
                thread.comments.append(ReviewComment(self.github.next_id(), thread, review, author, text, at))
            return review

    def reply(self, comment_id: int, body: str, *, by: Account | str) -> ReviewComment:
        """Answer in the thread that the comment `comment_id` began; GitHub makes a review of it. Raises KeyError."""
        check_comment(body)
        with self.github.lock:
            thread = next((t for t in self.threads if t.comments[0].id == comment_id), None)
            if thread is None:
                raise KeyError(comment_id)
            review = self.review("COMMENTED", by=by)
            comment = ReviewComment(self.github.next_id(), thread, review, review.author, body, review.at)
            thread.comments.append(comment)
            return comment

    def try_merge(self, files: Mapping[str, str]) -> str:
        """The commit that GitHub makes to try the merge; `files` is what it finds for those that both sides changed."""
        with self.github.lock:
            store, signature = self.repository.store, self.repository._signature(self.author)
            merged = {**store.files(self.base_commit), **store.files(self.head_commit)}
            merged |= {path: Entry(FILE, store.put_blob(text.encode())) for path, text in files.items()}
            parents = (self.base_commit, self.head_commit)
            self.trial_merge = store.put_commit(
                store.put_tree(merged), parents, "Merge", signature, signature, verified=True
            )
            return self.trial_merge

    def merge(self, *, by: Account | str) -> str:
        """A merge commit on the base branch; closes what the keywords name. Returns the commit."""
        with self.github.lock:
            repository, store, actor = self.repository, self.repository.store, self.github.account(by)
            base, head, issues = self.base_commit, self.head_commit, self.closes
            merged = {**store.files(base)}
            for change in self.files:
                merged.pop(change.path, None)
                if change.after is not None:
                    merged[change.path] = change.after
            signature = Signature(actor.login, f"{actor.login}@users.noreply.github.com", int(self.github.clock()))
            message = f"Merge pull request #{self.number} from {repository.owner.login}/{self.head}\n\n{self.title}"
            commit = store.put_commit(
                store.put_tree(merged), (base, head), message, signature, signature, verified=True
            )
            repository.branches[self.base] = commit
            self.merge_commit, self.merged_by, self.merged_at = commit, actor, self.github.now()
            self.record("merged", actor, commit=commit)
            self.close(by=actor)
            for issue in issues:
                issue.close(by=actor)
            return commit


def open_pull_request(
    repository: Repository, *, head: str, base: str, title: str, body: str, by: Account | str, draft: bool
) -> PullRequest:
    """Open one as GitHub does, with its refusals: unknown branch, one is open already, no commits between them."""
    github = repository.github
    with github.lock:
        check_issue_text(title, body)
        for field, branch in (("head", head), ("base", base)):
            if branch not in repository.branches:
                raise invalid("PullRequest", field)
        if any(p.head == head and p.base == base and p.state == "open" for p in repository.pull_requests):
            raise custom("PullRequest", f"A pull request already exists for {repository.owner.login}:{head}.")
        if not repository.store.ahead(repository.branches[base], repository.branches[head]):
            raise custom("PullRequest", f"No commits between {base} and {head}")
        author = github.account(by)
        pull = PullRequest(repository, repository.next_number(), title, body, author, head=head, base=base, draft=draft)
        repository.issues[pull.number] = pull
        for issue in pull.closes:
            issue.record("cross-referenced", author, source=pull)
        return pull


# A repository: people, branches, issues, pull requests, labels, rules.


DEFAULT_LABELS = (("bug", "d73a4a"), ("documentation", "0075ca"), ("enhancement", "a2eeef"))
RULES = {
    "creation": "Cannot create ref due to creations being restricted.",
    "update": "Cannot update this protected ref.",
    "deletion": "Cannot delete this protected ref.",
    "pull_request": "Changes must be made through a pull request.",
    "required_status_checks": "Required status checks are expected.",
}


@dataclass(frozen=True, slots=True)
class BranchRule:
    """A ruleset's rule for branches that match `pattern` (fnmatch). Those of `RULES` are enforced, the others shown.

    `bypass` is GitHub's `current_user_can_bypass`, for every token; empty where GitHub does not say.
    """

    pattern: str
    kind: str
    ruleset: int
    bypass: str
    parameters: Mapping[str, Any]

    def applies(self, branch: str) -> bool:
        return fnmatch.fnmatchcase(branch, self.pattern)


@dataclass(slots=True, eq=False)
class WorkflowRun:
    id: int
    status: str = "in_progress"
    conclusion: str | None = None
    event: str = "issues"


@dataclass(frozen=True, slots=True)
class CheckRun:
    """What an App says about a commit; it never changes here."""

    id: int
    name: str
    commit: str
    app: Account
    status: str
    conclusion: str | None
    title: str | None
    summary: str | None
    details_url: str
    external_id: str
    at: str
    annotations: tuple[Mapping[str, Any], ...] = ()
    log: str = ""
    """Of a job of Actions, whose id is that of its check run."""


class Repository:
    def __init__(self, github: Platform, owner: Account, name: str, *, private: bool, default_branch: str) -> None:
        self.github = github
        self.owner = owner
        self.name = name
        self.private = private
        self.default_branch = default_branch
        self.id = github.next_id()
        self.archived = False
        self.disabled = False
        self.store = GitStore()
        self.branches: dict[str, str] = {}
        # A lightweight tag names a commit, an annotated one a tag object.
        self.tags: dict[str, str] = {}
        self.roles: dict[int, str] = {}
        self.labels: dict[str, Label] = {}
        self.issues: dict[int, Issue] = {}
        self.transferred: dict[int, Issue] = {}
        self.deleted: set[int] = set()
        self.rules: list[BranchRule] = []
        self.runs: dict[int, WorkflowRun] = {}
        self.check_runs: list[CheckRun] = []
        self.actions_may_open_pull_requests = True
        self.tree_limit = 100_000
        self.created_at = github.now()
        self._last_number = 0
        for label, color in DEFAULT_LABELS:
            self.labels[label] = Label(github.next_id(), label, color)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def node_id(self) -> str:
        return f"R_kgDO{self.id}"

    @property
    def url(self) -> str:
        return f"{self.github.base_url}/{self.full_name}"

    @property
    def is_empty(self) -> bool:
        return not self.branches

    # People

    def add_person(self, login: str, *, id: int | None = None, role: str = "write") -> Account:  # noqa: A002
        """A person (a bot, when the login ends in `[bot]`) with a role: none, read, triage, write, maintain, admin."""
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}; known are {', '.join(ROLES)}")
        with self.github.lock:
            account = self.github.add_account(login, id=id)
            self.roles[account.id] = role
            return account

    def role(self, account: Account) -> str:
        default = "none" if self.private else "read"
        return "admin" if account is self.owner else self.roles.get(account.id, default)

    # Issues and pull requests

    def next_number(self) -> int:
        with self.github.lock:
            self._last_number += 1
            return self._last_number

    def add_issue(self, title: str, body: str = "", *, author: Account | str, number: int | None = None) -> Issue:
        with self.github.lock:
            if number is not None:
                if number in self.issues or number <= 0:
                    raise ValueError(f"issue number {number} is taken or not positive")
                self._last_number = max(self._last_number, number)
            issue = Issue(self, number or self.next_number(), title, body, self.github.account(author))
            self.issues[issue.number] = issue
            return issue

    def open_pull_request(
        self, title: str, body: str = "", *, head: str, base: str | None = None, by: Account | str, draft: bool = False
    ) -> PullRequest:
        return open_pull_request(
            self, head=head, base=base or self.default_branch, title=title, body=body, by=by, draft=draft
        )

    def open_pull_request_of_fork(self, title: str, commit: str, *, head: str, by: Account | str) -> PullRequest:
        """From the branch `head` of a fork of `by`, at `commit`, which GitHub shows in this repository too."""
        with self.github.lock:
            author = self.github.account(by)
            pull = PullRequest(
                self, self.next_number(), title, "", author, head=head, base=self.default_branch, draft=False
            )
            pull.fork = Repository(
                self.github, author, self.name, private=self.private, default_branch=self.default_branch
            )
            pull._head_when_gone = commit
            self.issues[pull.number] = pull
            return pull

    def pull_request(self, number: int) -> PullRequest:
        issue = self.issues[number]
        if not isinstance(issue, PullRequest):
            raise KeyError(number)
        return issue

    @property
    def pull_requests(self) -> list[PullRequest]:
        """All of them, newest first."""
        return [i for _, i in sorted(self.issues.items(), reverse=True) if isinstance(i, PullRequest)]

    def label(self, name: str, color: str = "ededed", description: str | None = None) -> Label:
        """The label of that name (without case), created when there is none, as GitHub does when one is put on an
        issue.
        """
        with self.github.lock:
            found = next((known for key, known in self.labels.items() if key.lower() == name.lower()), None)
            if found is None:
                found = self.labels[name] = Label(self.github.next_id(), name, color, description)
            return found

    def add_run(
        self, run_id: int | None = None, *, status: str = "in_progress", conclusion: str | None = None
    ) -> WorkflowRun:
        run = WorkflowRun(run_id or self.github.next_id(), status, conclusion)
        self.runs[run.id] = run
        return run

    # Branches and commits

    def head(self, branch: str | None = None) -> str:
        """Commit at the branch (the default branch when None). Raises KeyError."""
        return self.branches[branch or self.default_branch]

    def file(self, branch: str, path: str) -> bytes | None:
        """The file's bytes on the branch, None when it is not there."""
        entry = self.store.files(self.head(branch)).get(path)
        return self.store.blob(entry.sha) if entry else None

    def files(self, branch: str | None = None) -> dict[str, bytes]:
        entries = self.store.files(self.head(branch))
        return {path: blob for path, entry in entries.items() if (blob := self.store.blob(entry.sha)) is not None}

    def commit(
        self,
        branch: str,
        changes: Mapping[str, bytes | str | None],
        message: str,
        *,
        by: Account | str,
        modes: Mapping[str, str] | None = None,
        verified: bool = False,
    ) -> str:
        """Commit on top of the branch (a new branch starts with the default branch's head); None deletes. Returns the
        commit.

        `modes` makes a path a symbolic link, an executable or a submodule; otherwise a changed file keeps its mode.
        """
        with self.github.lock:
            head = self.branches.get(branch) or self.branches.get(self.default_branch)
            files = self.store.files(head) if head else {}
            for path, content in changes.items():
                if content is None:
                    del files[path]
                    continue
                blob = self.store.put_blob(content.encode() if isinstance(content, str) else content)
                kept = files[path].mode if path in files and files[path].mode in (FILE, EXECUTABLE, SYMLINK) else FILE
                files[path] = Entry((modes or {}).get(path, kept), blob)
            signature = self._signature(self.github.account(by))
            committer = Signature("GitHub", "noreply@github.com", signature.at) if verified else signature
            tree = self.store.put_tree(files)
            commit = self.store.put_commit(
                tree, (head,) if head else (), message, signature, committer, verified=verified
            )
            self.branches[branch] = commit
            return commit

    def merge(self, branch: str, commit: str, message: str, *, by: Account | str) -> str | None:
        """A merge commit of `commit` on the branch, within files too; None when it holds that already. Raises 409 when
        both have changed the same lines.
        """
        with self.github.lock:
            store, head = self.store, self.branches[branch]
            if commit in store.history(head):
                return None
            old = store.merge_base(head, commit)
            before, ours, theirs = (store.files(sha) if sha else {} for sha in (old, head, commit))
            files = dict(ours)
            for path in {*before, *theirs}:
                if theirs.get(path) == before.get(path) or theirs.get(path) == ours.get(path):
                    continue
                if ours.get(path) == before.get(path):
                    files.pop(path, None)
                    files |= {path: theirs[path]} if path in theirs else {}
                    continue
                sides = [store.blob(side[path].sha) if path in side else None for side in (before, ours, theirs)]
                text, clean = (b"", False) if None in sides else merged_text(*(side or b"" for side in sides))
                if not clean:
                    raise Refusal(409, "Merge conflict")
                files[path] = Entry(ours[path].mode, store.put_blob(text))
            signature = self._signature(self.github.account(by))
            made = store.put_commit(store.put_tree(files), (head, commit), message, signature, signature, verified=True)
            self.branches[branch] = made
            return made

    def add_check(
        self, name: str, commit: str, conclusion: str, *, log: str = "", annotations: Sequence[Mapping[str, Any]] = ()
    ) -> CheckRun:
        """What a job of Actions reports about a commit, with its `log`."""
        run = CheckRun(
            id=self.github.next_id(),
            name=name,
            commit=commit,
            app=self.github.account(ACTIONS_BOT.login),
            status="completed",
            conclusion=conclusion,
            title=None,
            summary=None,
            details_url=f"{self.url}/actions",
            external_id="",
            at=self.github.now(),
            annotations=tuple(annotations),
            log=log,
        )
        self.check_runs.append(run)
        return run

    def tag(self, name: str, commit: str | None = None, *, by: Account | str | None = None) -> str:
        """A tag on a commit (the default branch's head when None): annotated when `by` says who made it. Returns what
        the ref names.
        """
        with self.github.lock:
            target = commit or self.head()
            if by is not None:
                target = self.store.put_tag(name, target, name, self._signature(self.github.account(by)))
            self.tags[name] = target
            return target

    def _signature(self, account: Account) -> Signature:
        return Signature(
            account.login, f"{account.id}+{account.login}@users.noreply.github.com", int(self.github.clock())
        )

    def create_branch(self, name: str, commit: str) -> None:
        with self.github.lock:
            self.check_rules("creation", name)
            if name in self.branches:
                raise unprocessable("Reference already exists")
            if commit not in self.store.commits:
                raise unprocessable("Object does not exist")
            if any(name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in self.branches):
                raise unprocessable("Reference update failed")
            self.branches[name] = commit

    def delete_branch(self, name: str) -> None:
        with self.github.lock:
            if name not in self.branches:
                raise unprocessable("Reference does not exist")
            self.check_rules("deletion", name)
            for pull in self.pull_requests:
                if pull.head == name and pull.fork is None and pull.state == "open":
                    pull.close(by=pull.author)
            del self.branches[name]

    def rename_default_branch(self, name: str) -> None:
        with self.github.lock:
            self.branches[name] = self.branches.pop(self.default_branch)
            for pull in self.pull_requests:
                pull.base = name if pull.base == self.default_branch else pull.base
            self.default_branch = name

    def protect(
        self, pattern: str, *rules: str, bypass: str = "never", parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Add a ruleset: `rules` are types of GitHub's, all with the same `parameters`."""
        ruleset = self.github.next_id()
        self.rules += [BranchRule(pattern, kind, ruleset, bypass, parameters or {}) for kind in rules]

    def check_rules(self, *kinds_and_branch: str) -> None:
        """Last argument is the branch, the others are what is about to happen to it. Raises 422 with every rule that is
        violated.
        """
        *kinds, branch = kinds_and_branch
        violated = [
            RULES[r.kind]
            for r in self.rules
            if r.kind in kinds and r.applies(branch) and r.bypass not in ("always", "exempt")
        ]
        if violated:
            raise rule_violated(*violated)

    def check_workflow_files(self, paths: list[str], token: Token) -> None:
        """Raises 403 when the token touches a workflow file without the right to."""
        touched = [p for p in paths if p.startswith(".github/workflows/")]
        if touched and not token.may("workflows", "write"):
            raise workflow_permission_missing(touched[0], integration=token.is_integration)


ACTIONS_PERMISSIONS = {"contents": WRITE, "pull_requests": WRITE, "issues": WRITE, "actions": READ}
APP_PERMISSIONS = {**ACTIONS_PERMISSIONS, "workflows": WRITE, "organization_projects": WRITE}


class Platform:
    """Accounts, tokens, repositories and boards; all of it behind `lock`. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[str, Repository] = {}
        self.boards: list[Board] = []
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, Account] = {}
        # What an App asks for: at least what any token of it was given.
        self.app_permissions: dict[str, dict[str, str]] = {"github-actions": {}}
        self.recorder = Recorder()
        self.faults = FaultPlan()
        self.rate = RateLimit(self.lock, clock, self.tokens)
        self._last_id = 5000
        for known in (ACTIONS_BOT, GHOST):
            self.accounts[known.login.lower()] = Account(known.login, known.id, known.kind)
        self.apps["github-actions"] = self.account(ACTIONS_BOT.login)

    @property
    def base_url(self) -> str:
        """Where the platform is served; empty while nobody serves it."""
        return ""

    @property
    def api_url(self) -> str:
        """Where REST is below that: GitHub Enterprise Server has a prefix."""
        return self.base_url

    def now(self) -> str:
        """ISO 8601 UTC, whole seconds as GitHub gives them."""
        return iso(self.clock())

    def next_id(self) -> int:
        with self.lock:
            self._last_id += 1
            return self._last_id

    def account(self, who: Account | str) -> Account:
        """The account of that login. Raises KeyError for a login that nobody added."""
        if isinstance(who, Account):
            return who
        try:
            return self.accounts[who.lower()]
        except KeyError:
            raise KeyError(f"nobody is called {who!r} here; add_person or add_account first") from None

    def add_account(
        self,
        login: str,
        *,
        id: int | None = None,  # noqa: A002 - GitHub's word
        kind: AccountKind | None = None,
    ) -> Account:
        """The account of that login, made if needed. A login that ends in `[bot]` is a bot's."""
        with self.lock:
            known = self.accounts.get(login.lower())
            if known is None:
                kind = kind or (AccountKind.BOT if login.endswith("[bot]") else AccountKind.USER)
                known = self.accounts[login.lower()] = Account(login, id or self.next_id(), kind)
            elif id is not None and known.id != id:
                raise ValueError(f"{login} has the id {known.id} already")
            return known

    def add_organization(self, login: str, *, id: int | None = None) -> Account:  # noqa: A002 - GitHub's word
        return self.add_account(login, id=id, kind=AccountKind.ORGANIZATION)

    def add_repository(
        self,
        full_name: str,
        files: Mapping[str, bytes | str] | None = None,
        *,
        private: bool = True,
        default_branch: str = "main",
        id: int | None = None,  # noqa: A002 - GitHub's word
        modes: Mapping[str, str] | None = None,
    ) -> Repository:
        """`owner/name`; the owner becomes an organisation if unknown. Without `files` it has no commit at all."""
        owner, name = full_name.split("/")
        with self.lock:
            account = self.accounts.get(owner.lower()) or self.add_organization(owner)
            repository = Repository(self, account, name, private=private, default_branch=default_branch)
            repository.id = id or repository.id
            self.repositories[full_name.lower()] = repository
            if files:
                repository.commit(default_branch, dict(files), "Initial commit", by=account, modes=modes)
            return repository

    def add_board(
        self, owner: str, *, number: int, title: str = "Platform work", columns: tuple[str, ...] = COLUMNS
    ) -> Board:
        with self.lock:
            board = Board(
                self, self.accounts.get(owner.lower()) or self.add_organization(owner), number, title, tuple(columns)
            )
            self.boards.append(board)
            return board

    # Tokens

    def _issue_token(self, prefix: str, **fields: Any) -> str:
        with self.lock:
            digest = hashlib.sha256(f"{prefix}{self.next_id()}".encode()).hexdigest()
            secret = prefix + digest[: 36 if prefix != "github_pat_" else 60]
            self.tokens[secret] = Token(secret=secret, **fields)
            return secret

    def actions_token(self, repository: Repository, **permissions: str) -> str:
        """GITHUB_TOKEN of a job in `repository`. With no permissions named: contents, pull_requests, issues write,
        actions read.
        """
        return self._issue_token(
            "ghs_",
            kind=TokenKind.ACTIONS,
            account=self.account(ACTIONS_BOT.login),
            permissions=permissions or ACTIONS_PERMISSIONS,
            repositories=frozenset({repository.full_name.lower()}),
            installation_id=self.next_id(),
        )

    def app_token(
        self,
        slug: str = "ops-agent",
        *,
        bot_id: int | None = None,
        repositories: list[Repository] | None = None,
        **permissions: str,
    ) -> str:
        """Installation token of the app `slug`, which acts as `{slug}[bot]`. With no permissions named: all that
        ops-agent asks for.
        """
        bot = self.apps[slug] = self.add_account(f"{slug}[bot]", id=bot_id)
        reach = None if repositories is None else frozenset(r.full_name.lower() for r in repositories)
        granted = permissions or APP_PERMISSIONS
        self.app_permissions.setdefault(slug, {}).update(granted)
        return self._issue_token(
            "ghs_",
            kind=TokenKind.APP,
            account=bot,
            permissions=granted,
            repositories=reach,
            installation_id=self.next_id(),
        )

    def classic_token(self, person: str, *scopes: str) -> str:
        """Classic personal access token with scopes such as `repo`, `workflow`, `project`."""
        return self._issue_token("ghp_", kind=TokenKind.CLASSIC, account=self.account(person), scopes=scopes)

    def fine_grained_token(self, person: str, repositories: list[Repository], **permissions: str) -> str:
        reach = frozenset(r.full_name.lower() for r in repositories)
        return self._issue_token(
            "github_pat_",
            kind=TokenKind.FINE_GRAINED,
            account=self.account(person),
            permissions=permissions,
            repositories=reach,
        )

    def revoke(self, secret: str) -> None:
        """From now on the token answers 401, as an expired one does."""
        with self.lock:
            del self.tokens[secret]
