"""A World whose GitHub is the embedded one, over the wire; the test moves the clock, and every other
port is absent or minimal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from builders import MARIA, run, settings_with, work_item
from doubles.clock import FakeClock
from doubles.reporter import KeepingReporter
from fake_github.git_objects import iso
from fake_github.objects import Issue, Repository
from fake_github.platform import EmbeddedGitHub
from ops_agent.adapters.github.board import GitHubBoard
from ops_agent.adapters.github.branches import GitHubBranches
from ops_agent.adapters.github.client import GitHubHttp, connect
from ops_agent.adapters.github.failures import RetryPolicy
from ops_agent.adapters.github.issues import GitHubIssues
from ops_agent.adapters.github.pull_requests import GitHubPullRequests
from ops_agent.config.settings import Settings
from ops_agent.model.change_set import ChangeSet, FileChange, Proposal
from ops_agent.model.event import IssueRef, RunIdentity
from ops_agent.model.event import Repository as Target
from ops_agent.model.ports import World
from ops_agent.model.work_item import Approval, WorkItem, content_hash
from run.visible import seen_by_people

OWNER, NAME = "DrivvenConsulting", "orders"
BOT_ID = 900
FILES = {
    "README.md": "# orders\n",
    "infra/main.tf": 'resource "aws_sqs_queue" "orders" {}\n',
    "infra/variables.tf": 'variable "name" {}\n',
    ".github/workflows/ci.yml": "on: push\n",
}
BODY = "## Description\nThe orders service needs a queue.\n"


def make_world(http: GitHubHttp, clock: FakeClock) -> World:
    """Claim and publication use nothing else."""
    absent: Any = None
    return World(
        issues=GitHubIssues(http),
        branches=GitHubBranches(http),
        pull_requests=GitHubPullRequests(http),
        board=GitHubBoard(http, OWNER, 6, "Status"),
        llm=absent,
        cloud=absent,
        terraform=absent,
        linters=absent,
        reporter=KeepingReporter(),
        clock=clock,
        scratch=absent,
        redact=lambda text: text,
    )


class Workplace:
    """One embedded GitHub with a repository, a board, a person who may write and an issue labelled ready."""

    def __init__(self, github: EmbeddedGitHub, clock: FakeClock, name: str = NAME) -> None:
        self.github, self.clock, self.name = github, clock, name
        github.add_organization(OWNER)
        self.repository: Repository = github.add_repository(f"{OWNER}/{name}", dict(FILES))
        self.repository.add_person("maria", id=MARIA.id, role="write")
        self.repository.add_person("joao", role="read")
        self.board = next(iter(github.boards), None) or github.add_board(OWNER, number=6)
        self.token = github.app_token("ops-agent", bot_id=BOT_ID)
        self.issue: Issue = self.add_issue(12)

    def add_issue(self, number: int, title: str = "[ops] Queue for orders", body: str = BODY) -> Issue:
        issue = self.repository.add_issue(title, body, author="maria", number=number)
        issue.add_label("ready", by="maria")
        self.board.add(issue)
        self.board.put(issue, "Ready")
        return issue

    def connection(self, token: str | None = None, policy: RetryPolicy | None = None) -> GitHubHttp:
        return connect(token or self.token, {"GITHUB_API_URL": self.github.base_url}, self.clock, policy)

    def world(self, token: str | None = None, policy: RetryPolicy | None = None, **parts: Any) -> World:
        """Fresh adapters, as every run has; nothing is shared but GitHub and the clock."""
        return self.world_over(self.connection(token, policy), **parts)

    def world_over(self, http: GitHubHttp, **parts: Any) -> World:
        return replace(make_world(http, self.clock), **parts)

    def item(self, issue: Issue | None = None, event_id: int = 9001, **fields: Any) -> WorkItem:
        """The work item that admission would give: the issue as it is now, approved by maria's label."""
        issue = issue or self.issue
        noun = GitHubIssues(self.connection()).issue(
            IssueRef(repository=issue.repository.full_name, number=issue.number)
        )
        at = iso(self.clock.now() + 1)
        words = content_hash(noun.title, noun.body)
        approval = Approval(by=MARIA, event_id=event_id, at=at, content_hash=words)
        target = Target(owner=OWNER, name=self.name, id=self.repository.id, default_branch="main")
        return replace(work_item(issue=noun, title=noun.title, approval=approval, target=target), **fields)

    def run(self, **fields: Any) -> RunIdentity:
        return run(repository=self.repository.full_name, **fields)

    @property
    def branches(self) -> dict[str, str]:
        return {name: sha for name, sha in self.repository.branches.items() if name.startswith("ops-agent/")}

    def claim_comments(self, issue: Issue | None = None) -> list[str]:
        return [c.body for c in (issue or self.issue).comments if c.author.id == BOT_ID]

    def seen(self) -> dict[str, Any]:
        return seen_by_people(self.issue, self.column())

    def column(self, issue: Issue | None = None) -> str | None:
        card = self.board.card(issue or self.issue)
        return card.column if card else None


@contextmanager
def workplace() -> Iterator[Workplace]:
    clock = FakeClock()
    with EmbeddedGitHub(clock=clock.now) as github:
        yield Workplace(github, clock)


class SharedGitHub:
    """One embedded GitHub for many tests: each `workplace()` is a repository of its own and starts with no calls and no
    faults.
    """

    def __init__(self) -> None:
        self._clock = FakeClock()
        self.github = EmbeddedGitHub(clock=self._clock.now).start()
        self._count = 0

    def workplace(self) -> Workplace:
        self._count += 1
        self.github.faults.clear()
        built = Workplace(self.github, self._clock, f"{NAME}-{self._count}")
        self._clock.slept.clear()
        self.github.recorder.restart()
        return built


def changes(base: str, **files: str | None) -> ChangeSet:
    """A change set: by default one new file and one changed. Names use `__` for `/` and `_dot_` for `.`."""
    wanted: dict[str, str | None] = files or {
        "infra__queue_dot_tf": 'resource "aws_sqs_queue" "dead" {}\n',
        "infra__variables_dot_tf": 'variable "q" {}\n',
    }
    built = []
    for name, after in sorted(wanted.items()):
        path = name.replace("__", "/").replace("_dot_", ".")
        before = FILES.get(path)
        built.append(
            FileChange(
                path=path,
                before=before.encode() if before is not None else None,
                after=after.encode() if after is not None else None,
            )
        )
    return ChangeSet(base_commit=base, changes=tuple(sorted(built, key=lambda c: c.path)))


def proposal(number: int = 12, **fields: Any) -> Proposal:
    built = Proposal(
        title="Queue for orders",
        body=f"## Description\nA queue.\n\n## Linked issue\nCloses #{number}",
        commit_headline="Add a queue for orders",
        commit_body="Failed messages are kept.",
        draft=False,
        labels=("ops-agent",),
    )
    return replace(built, **fields)


def settings(**fields: Any) -> Settings:
    return settings_with(**fields)
