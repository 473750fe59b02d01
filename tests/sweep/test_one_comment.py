"""One comment stands on an issue, whatever came one after the other; its advice is that of the last end."""

from __future__ import annotations

from typing import Any

import pytest

from builders import settings_with
from ops_agent.model.conversation import LlmReply
from ops_agent.model.errors import LlmError
from sweep.sweep_doubles import BODY, asking
from sweep.sweep_world import GIVEN, PERSON, IssueScenario

NEAR = "[OPS] Queue for orders"


def test_a_near_miss_is_told_once_and_gone_when_the_person_puts_it_right(scenario: IssueScenario) -> None:
    scenario.issue.edit(title=NEAR, by=PERSON)
    for run_id in (77, 78):
        end = scenario.run(scenario.labelled(), run_id=run_id)
        assert (end.conclusion, end.llm_requests) == ("declined", 0)
        assert "does not start with exactly" in scenario.said() and "take the label off" in scenario.said()
    assert "run 78" in scenario.said()
    scenario.issue.edit(title="[ops] Queue for orders", by=PERSON)
    assert scenario.run(scenario.labelled(), run_id=79).conclusion == "published"
    assert "ops-agent has opened a pull request" in scenario.said() and "exactly" not in scenario.said()


@pytest.mark.parametrize("title", [NEAR, "[dev] Queue", "Orders, the epic"])
def test_nothing_is_written_for_a_near_miss_of_somebody_who_may_not_write_nor_for_other_issues(
    scenario: IssueScenario, title: str
) -> None:
    scenario.repository.add_person("joao", id=102, role="triage")
    scenario.issue.edit(title=title, by=PERSON)
    by = "joao" if title == NEAR else PERSON
    end = scenario.run(scenario.github.label(scenario.issue, "ready", by=by))
    assert end.conclusion == ("not_authorised" if by == "joao" else "declined") and scenario.issue.comments == []


def test_a_label_on_a_parent_is_told_to_dispatch_its_number(scenario: IssueScenario) -> None:
    parent = scenario.repository.add_issue("Orders, the epic", BODY, author=PERSON)
    parent.add_sub_issue(scenario.issue)
    assert scenario.run(scenario.labelled(parent)).conclusion == "declined"
    assert f"Dispatch the workflow with the number {parent.number}" in scenario.said(parent)
    assert scenario.issue.comments == [] and parent.state == "open"


def test_the_question_of_a_run_goes_when_the_next_label_is_declined_and_the_other_way_round(
    scenario: IssueScenario,
) -> None:
    assert scenario.run(scenario.labelled(), asking()).conclusion == "needs_info"
    assert "Which region?" in scenario.said()
    scenario.board.put(scenario.issue, "Backlog")
    assert scenario.run(scenario.labelled(), run_id=78).conclusion == "declined"
    assert "Backlog" in scenario.said() and "Which region?" not in scenario.said()
    scenario.board.put(scenario.issue, "Ready")
    assert scenario.run(scenario.labelled(), run_id=79).conclusion == "published"
    assert "Backlog" not in scenario.said() and "opened a pull request" in scenario.said()


def test_a_pull_request_stays_named_when_a_later_label_changes_nothing(scenario: IssueScenario) -> None:
    payload = scenario.labelled()
    assert scenario.run(payload).conclusion == "published"
    before = scenario.said()
    assert scenario.run(payload, run_id=78).conclusion == "duplicate", "the same event once more"
    assert scenario.said() == before
    for run_id in (79, 80):
        assert scenario.run(scenario.labelled(), run_id=run_id).conclusion == "duplicate"
        assert scenario.said().startswith(before.strip()) and scenario.said().count("**duplicate**") == 1
        assert "Change the issue's text or review the pull request" in scenario.said()
    (pull,) = scenario.repository.pull_requests
    pull.close(by=PERSON)
    assert scenario.run(scenario.labelled(), run_id=81).conclusion == "declined"
    assert (
        "**declined**" in scenario.said() and "**duplicate**" not in scenario.said() and "Reopen it" in scenario.said()
    )
    scenario.issue.edit(body="_No response_", by=PERSON)
    assert scenario.run(scenario.labelled(), run_id=82).conclusion == "needs_info"
    assert "**needs_info**" in scenario.said() and "**declined**" not in scenario.said()


def test_the_comment_of_a_run_at_work_is_left_alone(scenario: IssueScenario) -> None:
    """Its comment is its lease."""

    def meanwhile() -> None:
        before = scenario.said()
        scenario.board.put(scenario.issue, "Backlog")
        assert scenario.run(scenario.labelled(), run_id=78).conclusion == "declined"
        assert scenario.said() == before

    scenario.repository.add_run(77)
    scenario.run(scenario.labelled(), between=meanwhile)
    assert "run 77" in scenario.said()


def test_a_draft_of_unfinished_work_says_so_in_the_comment(scenario: IssueScenario) -> None:
    given = settings_with(draft_on_failure=True, limits=GIVEN.limits.__class__(max_turns=2))
    end = scenario.run(scenario.labelled(), settings=given)
    assert end.conclusion in ("budget_exhausted", "no_progress"), end.reporter.said
    assert f"**{end.conclusion}**" in scenario.said() and "as a draft" in scenario.said()
    assert "Look at the draft pull request; re-apply the label for another try." in scenario.said()


def test_who_started_the_workflow_by_hand_is_not_told_to_apply_a_label_again(scenario: IssueScenario) -> None:
    def dispatched(*replies: LlmReply, run_id: int, **fields: Any) -> str:
        payload = scenario.dispatched(scenario.issue)
        return scenario.run(payload, replies or None, name="workflow_dispatch", run_id=run_id, **fields).conclusion

    def breaks() -> None:
        raise LlmError("overloaded", hint="Wait, then re-apply the label.")

    def told() -> str:
        assert "label" not in scenario.said().lower()
        return scenario.said()

    assert dispatched(*asking(), run_id=77) == "needs_info"
    assert "Answer the questions in the issue's text and start the workflow again." in told()
    assert dispatched(run_id=78, between=breaks) == "llm_failed" and "Wait, then start the workflow again." in told()
    scenario.board.put(scenario.issue, "Backlog")
    assert dispatched(run_id=79) == "declined" and "when it may be worked on, and start the workflow again." in told()
    scenario.board.put(scenario.issue, "Ready")
    assert [dispatched(run_id=80), dispatched(run_id=81)] == ["published", "duplicate"]
    assert "review the pull request, then start the workflow again." in told()
