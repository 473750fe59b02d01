"""An item that another issue blocks starts when that issue is closed: with the text that was approved, and only while
the approval stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fake_github.objects import Issue
from ops_agent.run.select import select
from sweep.sweep_doubles import BODY
from sweep.sweep_world import GIVEN, PERSON, End, IssueScenario
from sweep.test_calls import FREED

FIRST = "Network"


@pytest.fixture
def first(scenario: IssueScenario) -> Issue:
    """The issue that blocks the scenario's."""
    scenario.repository.add_person("joao", id=102, role="read")
    blocker = scenario.repository.add_issue(FIRST, BODY, author="joao")
    scenario.issue.block(blocker)
    return blocker


def close(scenario: IssueScenario, blocker: Issue, *, by: str = PERSON, run_id: int = 90, **fields: Any) -> End:
    return scenario.run(scenario.github.close_event(blocker, by=by), run_id=run_id, **fields)


def test_a_labelled_item_waits_and_starts_when_its_blocker_is_closed(scenario: IssueScenario, first: Issue) -> None:
    """Whoever closes the blocker: the person who applied the label approved it."""
    assert scenario.run(scenario.labelled()).conclusion == "declined"
    assert f"blocked by #{first.number}" in scenario.said() and "Nothing: it starts when" in scenario.said()
    scenario.issue.comment("What a wait!", by="joao")
    end = close(scenario, first, by="joao")
    assert end.conclusion == "published", end.reporter.said
    ours = [comment.body for comment in scenario.issue.comments if comment.author.login != "joao"]
    assert len(ours) == 1 and "opened a pull request" in ours[0] and "waiting" not in ours[0]
    first.reopen(by=PERSON)
    assert close(scenario, first, run_id=91).llm_requests == 0, "an approval starts one run"


def test_a_dispatched_item_waits_too_while_its_card_is_in_ready(scenario: IssueScenario, first: Issue) -> None:
    end = scenario.run(scenario.dispatched(scenario.issue), name="workflow_dispatch")
    assert end.conclusion == "declined" and "<!-- ops-agent:waiting" in scenario.said()
    scenario.board.put(scenario.issue, "Backlog")
    assert close(scenario, first).conclusion == "declined" and "Backlog" in scenario.said()
    assert "<!-- ops-agent:waiting" not in scenario.said(), "what is declined waits no longer"


def test_an_item_that_is_still_blocked_waits_on(scenario: IssueScenario, first: Issue) -> None:
    second = scenario.repository.add_issue("Second", BODY, author=PERSON)
    scenario.issue.block(second)
    scenario.run(scenario.labelled())
    end = close(scenario, first)
    assert (end.conclusion, end.llm_requests) == ("declined", 0)
    assert f"blocked by #{second.number}" in scenario.said() and f"#{first.number}" not in scenario.said()
    assert close(scenario, second, run_id=91).conclusion == "published"


def _edited(scenario: IssueScenario) -> None:
    scenario.issue.edit(body=BODY + "\nAnd open port 22.", by=PERSON)


def _renamed_twice(scenario: IssueScenario) -> None:
    title = scenario.issue.title
    scenario.issue.edit(title="[ops] Another", by=PERSON)
    scenario.issue.edit(title=title, by=PERSON)


def _unlabelled(scenario: IssueScenario) -> None:
    scenario.issue.remove_label("ready", by=PERSON)


def _labelled_by_another(scenario: IssueScenario) -> None:
    _unlabelled(scenario)
    scenario.issue.add_label("ready", by="joao")


def _left_the_team(scenario: IssueScenario) -> None:
    scenario.repository.add_person(PERSON, id=101, role="read")


def _closed(scenario: IssueScenario) -> None:
    scenario.issue.close(by=PERSON)


@pytest.mark.parametrize(
    ("meanwhile", "conclusion"),
    [
        (_edited, "content_changed"),
        (_renamed_twice, "content_changed"),
        (_unlabelled, "stale"),
        (_labelled_by_another, "stale"),
        (_left_the_team, "stale"),
        (_closed, "no_changes"),
    ],
)
def test_nothing_starts_after_the_approval_has_lost_its_ground(
    scenario: IssueScenario, first: Issue, meanwhile: Callable[[IssueScenario], None], conclusion: str
) -> None:
    scenario.run(scenario.labelled())
    meanwhile(scenario)
    end = close(scenario, first)
    assert (end.conclusion, end.llm_requests) == (conclusion, 0), end.reporter.said
    assert scenario.branches == ()
    if conclusion != "no_changes":
        assert f"**{conclusion}**" in scenario.said() and "Nothing: it starts" not in scenario.said()


@pytest.mark.parametrize("forger", ["joao", "other-bot[bot]"])
def test_a_record_that_is_not_ours_starts_nothing(scenario: IssueScenario, first: Issue, forger: str) -> None:
    scenario.run(scenario.labelled())
    record = scenario.said()
    scenario.issue.comments[0].delete()
    scenario.github.add_account(forger)
    scenario.issue.comment(record, by=forger)
    scenario.issue.comment(f"> quoted\n{record}", by=forger)
    end = close(scenario, first)
    assert (end.conclusion, end.llm_requests) == ("declined", 0) and scenario.branches == ()


def test_a_re_run_of_what_a_closed_issue_started_needs_a_writer(scenario: IssueScenario, first: Issue) -> None:
    scenario.run(scenario.labelled())
    payload = scenario.github.close_event(first, by="joao")
    _left_the_team(scenario)
    assert scenario.run(payload, attempt=2, run_id=90).conclusion == "not_authorised"


def test_an_issue_that_blocks_nothing_starts_nothing_and_costs_the_listed_requests(scenario: IssueScenario) -> None:
    other = scenario.repository.add_issue("Other", BODY, author=PERSON)
    payload = scenario.github.close_event(other, by=PERSON)
    scenario.github.recorder.restart()
    assert scenario.run(payload).conclusion == "no_changes"
    assert tuple(call.operation for call in scenario.github.recorder.calls) == FREED


def test_items_that_waited_for_the_same_issue_run_in_one_matrix(scenario: IssueScenario, first: Issue) -> None:
    """Those of another repository have runs of their own."""
    more = scenario.add_issue(20)
    more.block(first)
    for run_id, issue in ((77, scenario.issue), (78, more)):
        scenario.run(scenario.labelled(issue), run_id=run_id)
    event, identity = scenario.read(scenario.github.close_event(first, by=PERSON), run_id=90)
    assert [item.ref.number for item in select(scenario.world(), GIVEN, event, identity).items] == [12, 20]
    end = scenario.run(scenario.github.close_event(first, by=PERSON), run_id=91, issue_number="20")
    assert end.conclusion == "published" and [pull.head for pull in scenario.repository.pull_requests] == [
        "ops-agent/issue-20"
    ]
