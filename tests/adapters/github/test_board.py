"""The project board from the issue's side; a board that cannot be used is reported in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.adapters.github.board import GitHubBoard
from ops_agent.adapters.github.client import connect
from ops_agent.model.event import Issue
from ops_agent.model.ports import BoardCard
from run.github_world import OWNER, Workplace


def board(
    here: Workplace, token: str | None = None, owner: str = OWNER, number: int = 6, field: str = "Status"
) -> GitHubBoard:
    http = connect(token or here.token, {"GITHUB_API_URL": here.github.base_url}, here.clock)
    return GitHubBoard(http, owner, number, field)


def noun(here: Workplace) -> Issue:
    return here.item().issue


def card(here: Workplace) -> BoardCard:
    found = board(here).card(noun(here))
    assert isinstance(found, BoardCard), found
    return found


def test_a_card_is_found_in_one_request_and_moved_in_another(here: Workplace) -> None:
    issue = noun(here)
    here.github.recorder.restart()
    found = board(here).card(issue)
    assert isinstance(found, BoardCard) and found.status == "Ready"
    assert [name for _, name in found.options] == ["Backlog", "Ready", "In Progress", "In Review", "Done"]
    assert board(here).move(found, "In Progress") is None
    assert here.column() == "In Progress" and len(here.github.recorder.calls) == 2


@pytest.mark.parametrize("spelling", ["In progress", "IN PROGRESS", "in progress"])
def test_names_of_columns_are_matched_without_case(here: Workplace, spelling: str) -> None:
    assert board(here).move(card(here), spelling) is None and here.column() == "In Progress"


def test_a_renamed_column_is_explained_with_the_columns_that_exist(here: Workplace) -> None:
    answer = board(here).move(card(here), "Doing")
    assert answer is not None and '"Doing"' in answer and "In Progress" in answer


@pytest.mark.parametrize(
    ("why", "options", "says"),
    [
        ("no such project", {"number": 7}, "project 7"),
        ("no such owner", {"owner": "nobody-here"}, "name your board (`project_owner`, `project_number`)"),
        ("no such field", {"field": "Stage"}, 'no single-select field named "Stage" (`status_field`)'),
    ],
)
def test_a_board_that_does_not_exist_is_explained_in_one_sentence(
    here: Workplace, why: str, options: dict[str, Any], says: str
) -> None:
    answer = board(here, **options).card(noun(here))
    assert isinstance(answer, str) and says in answer and answer.endswith(".")


def test_no_board_is_nothing_to_explain_and_nothing_to_ask(here: Workplace) -> None:
    issue = noun(here)
    here.github.recorder.restart()
    assert board(here, number=0).card(issue) == "" and not here.github.recorder.calls


def test_the_field_that_holds_the_status_has_the_name_that_the_input_gives(
    here: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here.board, "field", "Stage")
    found = board(here, field="stage").card(noun(here))
    assert isinstance(found, BoardCard) and found.status == "Ready"


def test_a_token_without_access_is_explained_with_what_it_needs(here: Workplace) -> None:
    """GITHUB_TOKEN cannot read projects."""
    answer = board(here, here.github.actions_token(here.repository)).card(noun(here))
    assert isinstance(answer, str) and "organisation projects" in answer


def test_a_token_that_may_only_read_is_explained_in_one_sentence(here: Workplace) -> None:
    reader = here.github.app_token("reader", contents="write", issues="write", organization_projects="read")
    found = board(here, reader).card(noun(here))
    assert isinstance(found, BoardCard)
    answer = board(here, reader).move(found, "In Progress")
    assert answer is not None and "write is missing" in answer


def test_an_issue_that_is_not_on_the_board_is_explained_in_one_sentence(here: Workplace) -> None:
    here.repository.add_issue("[ops] other", "", author="maria", number=50)
    item = here.item(here.repository.issues[50])
    answer = board(here).card(item.issue)
    assert isinstance(answer, str) and "not on project 6" in answer


def test_an_archived_card_is_explained_in_one_sentence(here: Workplace) -> None:
    found = here.board.card(here.issue)
    assert found is not None
    found.archived = True
    answer = board(here).card(noun(here))
    assert isinstance(answer, str) and "archived" in answer


def test_a_failing_server_is_explained_in_one_sentence(here: Workplace) -> None:
    issue = noun(here)
    here.github.faults.on("query organization", times=None).answer(502)
    answer = board(here).card(issue)
    assert isinstance(answer, str) and "502" in answer


def test_a_lost_move_is_made_again(here: Workplace) -> None:
    found = card(here)
    here.github.faults.on("updateProjectV2ItemFieldValue").drop_after()
    assert board(here).move(found, "In Progress") is None and here.column() == "In Progress"


@pytest.mark.parametrize("hidden", [None, {}, {"id": "x", "project": None}])
def test_items_that_the_token_may_not_see_are_skipped(here: Workplace, hidden: Any) -> None:
    body = {
        "data": {
            "organization": {"projectV2": {"id": "P", "field": {"id": "F", "options": []}}},
            "node": {"projectItems": {"nodes": [hidden]}},
        }
    }
    issue = noun(here)
    here.github.faults.on("query organization").answer(200, body=body)
    assert "is not on project 6" in str(board(here).card(issue))
