"""After a person merged or closed a pull request of ours: card and comment follow, and nothing of anybody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import settings_with
from fake_github.objects import PullRequest
from ops_agent.adapters.github.event_file import read_closed_pull_request
from ops_agent.config.settings import Settings
from ops_agent.run.after_merge import after_pull_request
from run.github_world import BOT_ID
from sweep.sweep_world import GIVEN, PERSON, IssueScenario
from sweep.test_calls import FOLLOW


def followed(scenario: IssueScenario, pull: PullRequest, settings: Settings = GIVEN) -> str:
    """The conclusion of a run for the event `closed`."""
    payload = scenario.github.pull_request_event(pull, "closed", by=PERSON)
    environment = scenario.environment(payload, name="pull_request_target", run_id=95, attempt=1)
    event, identity = read_closed_pull_request(environment)
    _, ending = after_pull_request(scenario.world(), replace(settings, github_token=scenario.token), event, identity)
    return ending.conclusion.value


@pytest.fixture
def pull(scenario: IssueScenario) -> PullRequest:
    assert scenario.run(scenario.labelled()).conclusion == "published"
    return scenario.repository.pull_requests[0]


@pytest.mark.parametrize(("status", "column"), [("Done", "Done"), ("", "In Review"), ("Shipped", "In Review")])
def test_a_merge_moves_the_card_and_the_comment_says_what_comes_next(
    scenario: IssueScenario, pull: PullRequest, status: str, column: str
) -> None:
    pull.merge(by=PERSON)
    given = replace(GIVEN, board=replace(GIVEN.board, status_done=status))
    scenario.github.recorder.restart()
    assert followed(scenario, pull, given) == "concluded"
    if status == "Done":
        assert tuple(call.operation for call in scenario.github.recorder.calls) == FOLLOW
    assert scenario.board.column(scenario.issue) == column
    assert "The pull request was merged" in scenario.said() and "has opened" not in scenario.said()
    assert ("The intended column is **Shipped**" in scenario.said()) == (status == "Shipped")


def test_closing_without_a_merge_puts_the_card_back_and_says_how_to_go_on(
    scenario: IssueScenario, pull: PullRequest
) -> None:
    pull.close(by=PERSON)
    assert followed(scenario, pull) == "concluded"
    assert scenario.board.column(scenario.issue) == "Ready" and "reopen it" in scenario.said()
    assert scenario.run(scenario.labelled(), run_id=96).conclusion == "declined"
    assert "**declined**" in scenario.said() and "was closed by a person" in scenario.said()


def test_without_access_to_the_board_the_comment_says_the_intended_column(
    scenario: IssueScenario, pull: PullRequest
) -> None:
    pull.merge(by=PERSON)
    scenario.token = scenario.github.app_token("ops-agent", bot_id=BOT_ID, issues="write", pull_requests="read")
    assert followed(scenario, pull) == "concluded" and "The intended column is **Done**" in scenario.said()


def test_a_card_that_a_person_moved_stays(scenario: IssueScenario, pull: PullRequest) -> None:
    scenario.board.put(scenario.issue, "Backlog")
    pull.merge(by=PERSON)
    assert followed(scenario, pull) == "concluded" and scenario.board.column(scenario.issue) == "Backlog"


def test_a_pull_request_that_is_not_ours_moves_nothing(scenario: IssueScenario, pull: PullRequest) -> None:
    """Its branch has another name, its record names another issue, or a stranger opened it from our branch."""
    repository, body, before = scenario.repository, pull.body, scenario.said()
    repository.add_person("joao", id=102, role="read")
    other = scenario.add_issue(20)
    repository.commit("feature", {"infra/more.tf": "# more\n"}, "More", by=PERSON)
    named_otherwise = repository.open_pull_request("Queue", body, head="feature", by=PERSON)
    pull.edit(body=body.replace("#12", "#20"), by=PERSON)
    for one in (named_otherwise, pull):
        one.close(by=PERSON)
        assert followed(scenario, one) == "declined"
    pull.edit(body=body, by=PERSON)
    pull.author = scenario.github.account("joao")
    assert followed(scenario, pull) == "declined"
    assert (scenario.said(), scenario.board.column(other)) == (before, "Ready") and other.comments == []


def test_a_dry_run_writes_nothing(scenario: IssueScenario, pull: PullRequest) -> None:
    before = scenario.said()
    pull.merge(by=PERSON)
    assert followed(scenario, pull, settings_with(dry_run=True)) == "concluded"
    assert scenario.said() == before and scenario.board.column(scenario.issue) == "In Review"
