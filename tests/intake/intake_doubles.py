"""A GitHub of dictionaries for the intake: it answers what it holds, counts every call, and has no method that writes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, cast

from builders import MARIA, REPOSITORY, issue
from ops_agent.domain.event import Actor, ActorKind, Comment, Issue, IssueEvent, IssueRef, Permission, Repository
from ops_agent.errors import NotFound, OpsAgentError
from ops_agent.ports import BoardCard, World

HERE = REPOSITORY.full_name
JOAO = Actor(login="joao", id=102, kind=ActorKind.USER)
NOW = 1_795_000_000.0  # 2026-11-18T09:46:40Z
LABELLED_AT = "2026-11-18T09:40:00Z"
OPTIONS = (("o1", "Backlog"), ("o2", "Ready"), ("o3", "In Progress"))


def ref(number: int, repository: str = HERE) -> IssueRef:
    return IssueRef(repository=repository, number=number)


def put(label: str = "ready", by: Actor = MARIA, at: str = LABELLED_AT, number: int = 9001, kind: str = "labeled") -> IssueEvent:
    return IssueEvent(id=number, kind=kind, actor=by, at=at, label=label)


def card(status: str | None = "Ready", options: tuple[tuple[str, str], ...] = OPTIONS) -> BoardCard:
    return BoardCard(item_id="i", project_id="p", field_id="f", status=status, options=options)


@dataclass
class FakeHost:
    issues: dict[IssueRef, Issue] = field(default_factory=lambda: {issue().ref: issue()})
    events: dict[IssueRef, tuple[IssueEvent, ...]] = field(default_factory=lambda: {issue().ref: (put(),)})
    repositories: dict[str, Repository] = field(default_factory=lambda: {HERE: REPOSITORY})
    permissions: dict[tuple[str, str], Permission | OpsAgentError] = field(default_factory=lambda: {(HERE, "maria"): Permission.WRITE})
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

    def issue_events(self, ref: IssueRef) -> tuple[IssueEvent, ...]:
        self.calls["issue_events"] += 1
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

    def branch_head(self, repository: str, branch: str) -> str | None:
        self.calls["branch_head"] += 1
        return "a" * 40 if (repository, branch) in self.branches else None

    def blockers(self, ref: IssueRef) -> tuple[Issue, ...]:
        self.calls["blockers"] += 1
        said = self.blocking.get(ref, ())
        if isinstance(said, OpsAgentError):
            raise said
        return said

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
class FakeBoard:
    cards: dict[IssueRef, BoardCard | str] = field(default_factory=dict)
    otherwise: BoardCard | str = field(default_factory=card)
    calls: Counter[str] = field(default_factory=Counter)

    def card(self, issue: Issue) -> BoardCard | str:
        self.calls["card"] += 1
        return self.cards.get(issue.ref, self.otherwise)

    def cards_of(self, issues: tuple[Issue, ...]) -> dict[IssueRef, BoardCard | str]:
        self.calls["cards_of"] += 1
        return {issue.ref: self.cards.get(issue.ref, self.otherwise) for issue in issues}


@dataclass
class FakeClock:
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def world(host: FakeHost, board: FakeBoard | None = None, clock: FakeClock | None = None) -> World:
    """A World of three parts; anything else that is touched is an error."""
    parts: dict[str, Any] = {"code_host": host, "board": board or FakeBoard(), "clock": clock or FakeClock()}
    others = dict.fromkeys(("llm", "cloud", "terraform", "linters", "reporter", "scratch", "redact"))
    return cast(World, World(**{**others, **parts}))


def live(host: FakeHost, **fields: Any) -> FakeHost:
    """The host with another live version of issue 12 than the payload's."""
    host.issues[issue().ref] = replace(issue(), **fields)
    return host
