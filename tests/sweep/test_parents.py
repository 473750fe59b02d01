"""The one comment on a parent: made by a dispatch of it, brought up to date by every later run."""

from __future__ import annotations

import re

import pytest

from builders import run
from doubles.reporter import KeepingReporter
from fake_github.objects import Issue
from ops_agent.model.event import IssueRef
from ops_agent.run.parents import tell_parent
from sweep.sweep_doubles import BODY, asking
from sweep.sweep_world import GIVEN, PERSON, IssueScenario


@pytest.fixture
def parent(scenario: IssueScenario) -> Issue:
    """Of four: the scenario's issue, one that waits for it, one that is not ready, and one of the developers."""
    repository = scenario.repository
    parent = repository.add_issue("Orders, the epic", BODY, author=PERSON, number=10)
    parent.add_sub_issue(scenario.issue)
    waits, later = scenario.add_issue(20), scenario.add_issue(21)
    waits.block(scenario.issue)
    scenario.board.put(later, "Backlog")
    for child in (waits, later, repository.add_issue("[dev] Read @maria's queue | <b>", BODY, author=PERSON)):
        parent.add_sub_issue(child)
    return parent


def rows(scenario: IssueScenario, parent: Issue) -> dict[int, str]:
    """State and what comes next, by the number of the sub-issue."""
    found = re.findall(r"(?m)^\| \d+ \| #(\d+) [^|]*\| (.*) \|$", scenario.said(parent))
    return {int(number): text for number, text in found}


def test_a_dispatched_parent_says_where_each_sub_issue_stands_from_the_start_to_the_last_merge(
    scenario: IssueScenario, parent: Issue
) -> None:
    started: list[str] = []
    end = scenario.run(
        scenario.dispatched(parent),
        name="workflow_dispatch",
        between=lambda: started.append(rows(scenario, parent)[12]),
    )
    assert end.conclusion == "published" and started[0].startswith("starts now")
    (pull,) = scenario.repository.pull_requests
    shown = rows(scenario, parent)
    assert list(shown)[:3] == [12, 20, 21] and len(shown) == 4
    assert f"pull request #{pull.number} is open" in shown[12] and "a person merges" in shown[12]
    assert "blocked by #12" in shown[20] and "it starts when #12 is closed" in shown[20]
    assert "Backlog" in shown[21] and "not a work item" in list(shown.values())[3]
    assert "@maria" not in scenario.said(parent) and "\\<b>" in scenario.said(parent)

    pull.merge(by=PERSON)
    assert scenario.issue.state == "closed"
    end = scenario.run(scenario.github.close_event(scenario.issue, by=PERSON), asking(), run_id=78)
    assert (end.conclusion, end.llm_requests) == ("needs_info", 1), end.reporter.said
    shown = rows(scenario, parent)
    assert f"closed (pull request #{pull.number})" in shown[12] and "needs_info" in shown[20]
    assert parent.state == "open" and "ops-agent never closes this issue" in scenario.said(parent)


def test_a_sub_issue_whose_run_asked_something_shows_it_and_the_next_label_there_brings_it_up_to_date(
    scenario: IssueScenario, parent: Issue
) -> None:
    end = scenario.run(scenario.dispatched(parent), asking(), name="workflow_dispatch")
    assert end.conclusion == "needs_info"
    shown = rows(scenario, parent)[12]
    assert "needs_info" in shown and "The comment on #12 says what to do" in shown
    assert scenario.run(scenario.labelled(), run_id=78).conclusion == "published"
    assert "is open" in rows(scenario, parent)[12] and "run 78" in scenario.said(parent)


def test_a_run_that_breaks_is_shown_too(scenario: IssueScenario, parent: Issue) -> None:
    def happen() -> None:
        raise ZeroDivisionError

    scenario.run(scenario.dispatched(parent), name="workflow_dispatch", between=happen)
    assert "internal_error" in rows(scenario, parent)[12]


def test_a_parent_that_nobody_dispatched_gets_no_comment(scenario: IssueScenario, parent: Issue) -> None:
    assert scenario.run(scenario.labelled()).conclusion == "published" and parent.comments == []


def test_a_parent_whose_comment_cannot_be_written_stops_nothing(scenario: IssueScenario, parent: Issue) -> None:
    scenario.github.faults.on("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", times=2).answer(403)
    end = scenario.run(scenario.dispatched(parent), name="workflow_dispatch")
    assert end.conclusion == "published" and "could not be written" in end.reporter.said


@pytest.mark.parametrize("creates", [False, True])
def test_a_parent_that_the_token_does_not_reach_is_no_trouble_of_its_sub_issues(
    scenario: IssueScenario, creates: bool
) -> None:
    world, gone = scenario.world(), IssueRef(repository=scenario.repository.full_name, number=999)
    tell_parent(world, GIVEN, gone, run(), creates=creates)
    assert isinstance(world.reporter, KeepingReporter) and len(world.reporter.annotations) == creates
