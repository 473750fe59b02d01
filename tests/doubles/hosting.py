"""A GitHub of dictionaries: it answers what it holds and counts every call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from builders import MARIA, OUR_BOT, REPOSITORY, comment, issue
from ops_agent.model.errors import NotFound, OpsAgentError
from ops_agent.model.event import Actor, Comment, Issue, IssueEvent, IssueRef, Permission, Repository
from ops_agent.model.ports import BoardCard

LABELLED_AT = "2026-11-18T09:40:00Z"
HERE = REPOSITORY.full_name
OPTIONS = (("o1", "Backlog"), ("o2", "Ready"), ("o3", "In Progress"))


def label_event(
    label: str = "ready", by: Actor = MARIA, at: str = LABELLED_AT, number: int = 9001, kind: str = "labeled"
) -> IssueEvent:
    return IssueEvent(id=number, kind=kind, actor=by, at=at, label=label)


def card(status: str | None = "Ready", options: tuple[tuple[str, str], ...] = OPTIONS) -> BoardCard:
    return BoardCard(item_id="i", project_id="p", field_id="f", status=status, options=options)


@dataclass
class FakeHost:
    """The reading half of ports.Issues, and ports.Branches as far as heads go: there is no method that writes."""

    issues: dict[IssueRef, Issue] = field(default_factory=lambda: {issue().ref: issue()})
    events: dict[IssueRef, tuple[IssueEvent, ...]] = field(default_factory=lambda: {issue().ref: (label_event(),)})
    repositories: dict[str, Repository] = field(default_factory=lambda: {HERE: REPOSITORY})
    permissions: dict[tuple[str, str], Permission | OpsAgentError] = field(
        default_factory=lambda: {(HERE, "maria"): Permission.WRITE}
    )
    branches: set[tuple[str, str]] = field(default_factory=lambda: {(HERE, "main")})
    blocking: dict[IssueRef, tuple[Issue, ...] | OpsAgentError] = field(default_factory=dict)
    parents: dict[IssueRef, IssueRef] = field(default_factory=dict)
    children: dict[IssueRef, tuple[Issue, ...]] = field(default_factory=dict)
    said: dict[IssueRef, tuple[Comment, ...]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    def issue(self, ref: IssueRef) -> Issue:
        self.calls["issue"] += 1
        if ref not in self.issues:
            raise NotFound(f"{ref} is not there")
        return self.issues[ref]

    def timeline(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        self.calls["timeline"] += 1
        return self.events.get(ref, ())

    def repository(self, repository: str) -> Repository:
        self.calls["repository"] += 1
        if repository not in self.repositories:
            raise NotFound(f"{repository} is not there")
        return self.repositories[repository]

    def permission(self, repository: str, login: str) -> Permission:
        self.calls["permission"] += 1
        said = self.permissions.get((repository, login), Permission.NONE)
        if isinstance(said, OpsAgentError):
            raise said
        return said

    def head(self, repository: str, branch: str) -> str | None:
        self.calls["head"] += 1
        return "a" * 40 if (repository, branch) in self.branches else None

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        self.calls["blockers"] += 1
        said = self.blocking.get(ref, ())
        if isinstance(said, OpsAgentError):
            raise said
        return said

    def blocked(self, ref: IssueRef) -> tuple[Issue, ...]:
        self.calls["blocked"] += 1
        waiting = (one for one, blockers in self.blocking.items() if not isinstance(blockers, OpsAgentError))
        found = (one for one in waiting if any(blocker.ref == ref for blocker in self.blocking[one]))  # type: ignore[union-attr]
        return tuple(self.issues[one] for one in found)

    def parent(self, ref: IssueRef) -> IssueRef | None:
        self.calls["parent"] += 1
        return self.parents.get(ref)

    def sub_issues(self, ref: IssueRef) -> tuple[Issue, ...]:
        self.calls["sub_issues"] += 1
        return self.children.get(ref, ())

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]:
        self.calls["comments"] += 1
        return self.said.get(ref, ())


@dataclass
class CommentingHost(FakeHost):
    """A FakeHost that may write comments, as our account; `broken` is what GitHub answers to a new one, `finished`
    what is known of every run.
    """

    broken: OpsAgentError | None = None
    finished: bool | None = None

    def viewer(self) -> Actor:
        return OUR_BOT

    def create_comment(self, ref: IssueRef, body: str) -> Comment:
        if self.broken:
            raise self.broken
        made = comment(body, number=1 + max((c.id for c in self.said.get(ref, ())), default=0))
        self.said[ref] = (*self.said.get(ref, ()), made)
        return made

    def run_is_finished(self, repository: str, run_id: int) -> bool | None:
        return self.finished

    def delete_comment(self, repository: str, comment_id: int) -> None:
        for ref, comments in self.said.items():
            self.said[ref] = tuple(c for c in comments if c.id != comment_id)

    def update_comment(self, repository: str, comment_id: int, body: str) -> None:
        for ref, comments in self.said.items():
            self.said[ref] = tuple(replace(c, body=body) if c.id == comment_id else c for c in comments)


@dataclass
class FakeBoard:
    """The reading half of ports.Board."""

    cards: dict[IssueRef, BoardCard | str] = field(default_factory=dict)
    otherwise: BoardCard | str = field(default_factory=card)
    calls: Counter[str] = field(default_factory=Counter)

    def card(self, issue: Issue) -> BoardCard | str:
        self.calls["card"] += 1
        return self.cards.get(issue.ref, self.otherwise)

    def cards_of(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        self.calls["cards_of"] += 1
        return {issue.ref: self.cards.get(issue.ref, self.otherwise) for issue in issues}
