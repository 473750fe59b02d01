"""Whole runs in process: the event as a runner writes it, the real pipeline and report, the real GitHub adapters over
the wire, the real scratch tree, guard and judge. The language model, Terraform, linters and AWS are small doubles.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builders import settings_with
from doubles.clock import FakeClock
from doubles.linters import QuietLinters
from doubles.llm import SayingLlm
from doubles.reporter import KeepingReporter
from fake_github.objects import Issue
from fake_github.platform import EmbeddedGitHub
from ops_agent.adapters.github.board import GitHubBoard
from ops_agent.adapters.github.branches import GitHubBranches
from ops_agent.adapters.github.client import GitHubHttp, connect
from ops_agent.adapters.github.event_file import read_event
from ops_agent.adapters.github.failures import RetryPolicy
from ops_agent.adapters.github.issues import GitHubIssues
from ops_agent.adapters.github.pull_requests import GitHubPullRequests
from ops_agent.adapters.scratch import scratch_tree
from ops_agent.cli import run_selected
from ops_agent.config.settings import Settings
from ops_agent.model.conversation import LlmReply
from ops_agent.model.event import Event, RunIdentity
from ops_agent.model.ports import Wiki, World
from ops_agent.text.redaction import Redactor
from run.github_world import BOT_ID, OWNER
from run.visible import seen_by_people
from sweep.sweep_doubles import BODY, FILES, Act, Cloud, Terraform, working

PERSON = "maria"
GIVEN = settings_with(status_review="In Review", pr_labels=("infra",))


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a run ended, and what it wrote."""

    exit_code: int
    reporter: KeepingReporter
    llm: SayingLlm

    @property
    def conclusion(self) -> str:
        return self.reporter.outputs["conclusion"]

    @property
    def llm_requests(self) -> int:
        return len(self.llm.heard)


@dataclass(kw_only=True)
class IssueScenario:
    """One repository with one issue in Ready; people act on it, and runs work on it."""

    github: EmbeddedGitHub
    clock: FakeClock
    name: str
    runner: Path
    issue: Issue = field(init=False)

    def __post_init__(self) -> None:
        self.repository = self.github.add_repository(f"{OWNER}/{self.name}", dict(FILES))
        self.repository.add_person(PERSON, id=101, role="write")
        self.token = self.github.app_token("ops-agent", bot_id=BOT_ID)
        self.board = next(iter(self.github.boards), None) or self.github.add_board(OWNER, number=6)
        self.issue = self.add_issue(12)

    def add_issue(self, number: int, body: str = BODY) -> Issue:
        issue = self.repository.add_issue("[ops] Queue for orders", body, author=PERSON, number=number)
        self.board.put(issue, "Ready")
        return issue

    def labelled(self, issue: Issue | None = None) -> dict[str, Any]:
        """The payload when a person applies the label, again if it is there."""
        issue = issue or self.issue
        if "ready" in issue.label_names:
            issue.remove_label("ready", by=PERSON)
        return self.github.label(issue, "ready", by=PERSON)

    def dispatched(self, issue: Issue) -> dict[str, Any]:
        """The payload when a person starts the workflow with the number of `issue`."""
        inputs = {"issue_number": str(issue.number)}
        return dict(self.github.dispatch(self.repository, by=PERSON, inputs=inputs))

    def said(self, issue: Issue | None = None) -> str:
        """The one comment on an issue."""
        (comment,) = (issue or self.issue).comments
        return comment.body

    def connection(self) -> GitHubHttp:
        return connect(self.token, {"GITHUB_API_URL": self.github.base_url}, self.clock, RetryPolicy())

    def run(
        self,
        payload: Mapping[str, Any],
        replies: tuple[LlmReply, ...] | None = None,
        *,
        run_id: int = 77,
        attempt: int = 1,
        http: GitHubHttp | None = None,
        between: Act = lambda: None,
        settings: Settings = GIVEN,
        name: str = "issues",
        issue_number: str = "",
        wiki: Wiki | None = None,
    ) -> End:
        """One run with adapters of its own, from the event's file to the exit code."""
        event, identity = self.read(payload, name=name, run_id=run_id, attempt=attempt, issue_number=issue_number)
        llm, reporter = SayingLlm(*(replies or working()), between=between), KeepingReporter()
        world = replace(self.world(http), llm=llm, reporter=reporter, wiki=wiki)
        code = run_selected(world, replace(settings, github_token=self.token), event, identity)
        return End(exit_code=code, reporter=reporter, llm=llm)

    def world(self, http: GitHubHttp | None = None) -> World:
        """Fresh adapters, as every run has; nothing is shared but GitHub and the clock."""
        http = http or self.connection()
        return World(
            issues=GitHubIssues(http),
            branches=GitHubBranches(http),
            pull_requests=GitHubPullRequests(http),
            board=GitHubBoard(http, OWNER, 6, "Status"),
            llm=SayingLlm(*working()),
            cloud=Cloud(),
            terraform=Terraform(),
            linters=QuietLinters(),
            reporter=KeepingReporter(),
            clock=self.clock,
            scratch=lambda base: scratch_tree(base),
            redact=Redactor([self.token]).redact,
        )

    def read(
        self,
        payload: Mapping[str, Any],
        *,
        name: str = "issues",
        run_id: int = 77,
        attempt: int = 1,
        issue_number: str = "",
    ) -> tuple[Event, RunIdentity]:
        """Event and run, as a runner hands them over."""
        return read_event(self.environment(payload, name=name, run_id=run_id, attempt=attempt), issue_number)

    def environment(self, payload: Mapping[str, Any], *, name: str, run_id: int, attempt: int) -> dict[str, str]:
        """Of a job that was started by the event `name`."""
        event_file = self.runner / f"{self.name}-{run_id}.json"
        event_file.write_text(json.dumps(payload))
        return {
            "GITHUB_EVENT_PATH": str(event_file),
            "GITHUB_EVENT_NAME": name,
            "GITHUB_REPOSITORY": self.repository.full_name,
            "GITHUB_RUN_ID": str(run_id),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_ACTOR": PERSON,
            "GITHUB_TRIGGERING_ACTOR": PERSON,
            "GITHUB_SERVER_URL": self.github.base_url,
        }

    @property
    def branches(self) -> tuple[str, ...]:
        return tuple(name for name in self.repository.branches if name != "main")

    def seen(self, issue: Issue | None = None) -> dict[str, Any]:
        issue = issue or self.issue
        return seen_by_people(issue, self.board.column(issue))


class SweepGitHub:
    """One embedded GitHub for many plays: each has a repository of its own and starts with no calls and no faults."""

    def __init__(self) -> None:
        self._clock = FakeClock()
        self.github = EmbeddedGitHub(clock=self._clock.now).start()
        self._folder = tempfile.TemporaryDirectory(prefix="ops-agent-sweep-")
        self._numbers = itertools.count(1)
        checkout = self.github.add_repository("actions/checkout", {"action.yml": "name: checkout\n"}, private=False)
        checkout.tags["v7"] = checkout.head()

    def scenario(self) -> IssueScenario:
        self.github.faults.clear()
        built = IssueScenario(
            github=self.github, clock=self._clock, name=f"orders-{next(self._numbers)}", runner=Path(self._folder.name)
        )
        self._clock.slept.clear()
        self.github.recorder.restart()
        return built

    def close(self) -> None:
        self.github.stop()
        self._folder.cleanup()
