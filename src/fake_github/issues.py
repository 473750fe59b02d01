"""Issues as people see and edit them: text, labels, comments, timeline, sub-issues, blockers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fake_github.accounts import Account
from fake_github.refusals import Refusal, check_comment, check_issue_text, custom

if TYPE_CHECKING:
    from fake_github.platform import EmbeddedGitHub
    from fake_github.repositories import Repository

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
        self.github: EmbeddedGitHub = repository.github
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
                self.record("blocked_by_added", by or self.author, blocking_issue=blocker)

    def transfer(self, target: Repository) -> Issue:
        """Move to another repository; the old address answers 301 from now on. Returns the issue under its new address."""
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
