"""Runs of `verify` in process: the event as a runner writes it, the real stage and report, the real GitHub adapters
over the wire, the real scratch tree, guard and judge; small doubles of Terraform, linters and AWS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from doubles.reporter import KeepingReporter
from fake_github.objects import PullRequest
from ops_agent.adapters.github.client import GitHubHttp
from ops_agent.adapters.github.event_file import read_pull_request_event
from ops_agent.cli import verify_each
from ops_agent.config.settings import Settings
from sweep.sweep_world import GIVEN, PERSON, IssueScenario


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyEnd:
    exit_code: int
    reporter: KeepingReporter

    @property
    def conclusion(self) -> str:
        return self.reporter.outputs["conclusion"]


def event_of(pull: PullRequest, action: str = "synchronize", by: str = PERSON) -> dict[str, Any]:
    payload: dict[str, Any] = pull.repository.github.pull_request_event(pull, action, by=by)  # type: ignore[attr-defined]
    return payload


def verify_by(
    scenario: IssueScenario,
    payload: dict[str, Any],
    name: str = "pull_request_target",
    *,
    http: GitHubHttp | None = None,
    settings: Settings = GIVEN,
    **parts: Any,
) -> VerifyEnd:
    """One run with adapters of its own, from the event's file to the exit code."""
    event_file = scenario.runner / f"{scenario.name}-{name}.json"
    event_file.write_text(json.dumps(payload))
    environment = {
        "GITHUB_EVENT_PATH": str(event_file),
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REPOSITORY": scenario.repository.full_name,
        "GITHUB_RUN_ID": "99",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_ACTOR": PERSON,
        "GITHUB_TRIGGERING_ACTOR": PERSON,
        "GITHUB_SERVER_URL": scenario.github.base_url,
    }
    asked, identity = read_pull_request_event(environment, settings.issue_number)
    reporter = KeepingReporter()
    world = replace(scenario.world(http), reporter=reporter, **parts)
    code = verify_each(world, replace(settings, github_token=scenario.token), asked, identity)
    return VerifyEnd(exit_code=code, reporter=reporter)
