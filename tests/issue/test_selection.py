"""Which issues of an event are selected, in which order, and how many requests that takes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import issue, labelled, run, settings_with, work_item
from doubles.hosting import HERE, FakeBoard, FakeHost, card, label_event
from issue.intake_doubles import JOAO, ref, world
from ops_agent.issue.selection import Selection, refuse_blocked
from ops_agent.model.errors import NotFound
from ops_agent.model.event import Dispatched, Event, Issue, IssueRef, Permission
from ops_agent.model.outcome import Conclusion
from ops_agent.run.select import select

PARENT = ref(10)


def child(number: int, **fields: Any) -> Issue:
    return issue(ref=ref(number), title=f"[ops] Part {number}", **fields)


def family(*children: Issue, **fields: Any) -> FakeHost:
    parent = issue(ref=PARENT, title="Orders, the epic", labels=())
    issues = {one.ref: one for one in (parent, *children)}
    return FakeHost(issues=issues, children={PARENT: children}, events={}, **fields)


def dispatch(*numbers: int) -> Dispatched:
    return Dispatched(
        repository=labelled().repository, sender=labelled().sender, issues=tuple(ref(number) for number in numbers)
    )


def chosen(host: FakeHost, event: Event, board: FakeBoard | None = None, **settings: Any) -> Selection:
    return select(world(host, board), settings_with(**settings), event, run())


def numbers(selection: Selection) -> list[int]:
    return [item.ref.number for item in selection.items]


def reasons(selection: Selection) -> dict[int, str]:
    return {no.ref.number: no.why.reason for no in selection.declined}


def test_a_dispatched_parent_selects_its_ready_sub_issues_in_its_order() -> None:
    """Every other sub-issue is declined with its reason."""
    far = issue(ref=ref(3, "DrivvenConsulting/network"), title="[ops] Far")
    host = family(
        child(14),
        replace(child(15), title="[dev] Not ours"),
        child(13, is_open=False),
        far,
        child(11),
        child(12),
        child(16),
        blocking={ref(12): (child(14),)},
    )
    board = FakeBoard(cards={ref(16): card("Backlog")})
    selection = chosen(host, dispatch(10), board)
    assert numbers(selection) == [14, 11]
    why = reasons(selection)
    assert (
        "another repository" in why[3]
        and "closed" in why[13]
        and "[ops]" in why[15]
        and "Backlog" in why[16]
        and "#14" in why[12]
    )


def test_dispatched_numbers_are_selected_in_their_order_and_once_each() -> None:
    host = family(child(11), child(12), child(13))
    assert numbers(chosen(host, dispatch(13, 10))) == [13, 11, 12]
    assert numbers(chosen(host, dispatch(10, 12))) == [11, 12, 13]
    assert numbers(chosen(host, dispatch(12))) == [12]


def test_an_item_with_sub_issues_is_an_item() -> None:
    host = family(child(11))
    host.children[ref(11)] = (child(12),)
    assert numbers(chosen(host, dispatch(11))) == [11] and host.calls["sub_issues"] == 0


def test_a_label_selects_its_own_issue_only() -> None:
    """The label does not approve the text of sub-issues."""
    host = family(child(11), child(12), child(13, is_open=False), replace(child(14), title="[dev] Not ours"))
    event = labelled(issue=issue(ref=PARENT, title="Orders, the epic"))
    selection = chosen(host, event)
    (declined,) = selection.declined
    assert selection.items == () and "its 2 work items" in declined.why.reason
    assert "number 10" in declined.why.remedy and not declined.why.quiet
    no_children = replace(event, issue=replace(event.issue, sub_issues=0))
    assert chosen(host, no_children).declined[0].why.quiet and host.calls["sub_issues"] == 1
    host = FakeHost()
    assert numbers(chosen(host, labelled())) == [12] and host.calls["sub_issues"] == 0


def test_an_issue_that_lost_its_prefix_after_the_label_is_no_parent() -> None:
    host = family(child(11))
    event = labelled(issue=issue(ref=PARENT))
    selection = chosen(host, event)
    assert selection.items == () and set(reasons(selection)) == {10} and host.calls["sub_issues"] == 0


def test_a_person_without_write_permission_selects_nothing() -> None:
    selection = chosen(family(child(11), permissions={(HERE, "maria"): Permission.READ}), dispatch(10))
    assert selection.refused is not None and selection.refused.conclusion is Conclusion.NOT_AUTHORISED
    assert (
        selection.outputs == {"matrix": '{"include":[]}', "selected_count": "0"}
        and "Nothing was selected" in selection.summary
    )


def test_a_missing_issue_and_a_pull_request_are_declined() -> None:
    host = family(child(11, is_pull_request=True))
    why = reasons(chosen(host, dispatch(10, 99)))
    assert "does not exist" in why[99] and "pull request" in why[11]


def test_items_that_block_each_other_are_named_as_a_circle() -> None:
    host = family(child(11), child(12), child(13), child(14))
    host.blocking = {ref(11): (child(12),), ref(12): (child(13),), ref(13): (child(11),), ref(14): (child(12),)}
    selection = chosen(host, dispatch(10))
    why = reasons(selection)
    assert f"{ref(11)} -> {ref(12)} -> {ref(13)} -> {ref(11)}" in why[11]
    assert all("waits for itself" in why[number] for number in (11, 12, 13)) and "blocked by #12" in why[14]


def test_without_a_readable_board_a_sub_issue_needs_the_label_ready_from_a_writer() -> None:
    host = family(child(11, labels=("ready",)), child(12, labels=("ready",)), child(13, labels=()))
    host.events = {ref(11): (label_event(),), ref(12): (label_event(by=JOAO),)}
    selection = chosen(host, dispatch(10), FakeBoard(otherwise="no access"))
    assert numbers(selection) == [11] and len(selection.warnings) == 1 and set(reasons(selection)) == {12, 13}
    assert numbers(chosen(host, dispatch(13), FakeBoard(otherwise="no access"))) == [13]


@pytest.mark.parametrize(("open_blockers", "requests"), [(0, 4), (None, 4 + 50)])
def test_a_hundred_sub_issues_cost_one_request_for_all_cards_and_one_for_each_that_may_be_blocked(
    open_blockers: int | None, requests: int
) -> None:
    """Permission, parent, children and cards are four; blockers are requested where GitHub counts some, or
    gives no count.
    """
    ours = [replace(child(number), open_blockers=open_blockers) for number in range(100, 150)]
    others = [issue(ref=ref(number), title=f"[dev] {number}") for number in range(150, 200)]
    host, board = family(*ours, *others), FakeBoard()
    selection = chosen(host, dispatch(10), board)
    assert len(selection.items) == 50 and len(selection.declined) == 50
    assert sum(host.calls.values()) + sum(board.calls.values()) == requests


def test_the_matrix_holds_numbers_and_names_only() -> None:
    host = family(child(11), replace(child(12), title="[ops] `x` | ${{ secrets.X }} @maria <!-- x -->"))
    selection = chosen(host, dispatch(10))
    assert json.loads(selection.matrix) == {
        "include": [{"issue_number": 11, "repository": HERE}, {"issue_number": 12, "repository": HERE}]
    }
    assert selection.outputs["selected_count"] == "2"
    rows = [line for line in selection.summary.split("\n") if line.startswith("|")]
    assert len(rows) == 4 and all(len(row.replace("\\|", "").split("|")) == 6 for row in rows)
    assert "@maria" not in selection.summary and "<!--" not in selection.summary and "max-parallel" in selection.summary


def test_an_empty_selection_is_a_clean_end() -> None:
    selection = chosen(family(), dispatch(10))
    assert selection.outputs == {"matrix": '{"include":[]}', "selected_count": "0"} and selection.refused is None
    assert "No work items selected, 1 not" in selection.summary


def test_more_items_than_a_matrix_holds_wait_for_another_dispatch() -> None:
    host = family(*(child(number) for number in range(100, 400)))
    selection = chosen(host, dispatch(10))
    assert len(selection.items) == 256 and len(selection.declined) == 44


def test_a_github_without_dependencies_is_warned_about_once() -> None:
    host = family(child(11), child(12), blocking={ref(11): NotFound("404"), ref(12): NotFound("404")})
    assert len(chosen(host, dispatch(10)).warnings) == 1


@pytest.mark.parametrize("status", ["In Progress", "in progress"])
def test_an_item_in_progress_with_our_branch_is_selected_again(status: str) -> None:
    host = family(child(11), branches={(HERE, "ops-agent/issue-11")})
    assert numbers(chosen(host, dispatch(10), FakeBoard(otherwise=card(status)))) == [11]


EDGES = st.dictionaries(st.integers(1, 8), st.lists(st.integers(1, 10), max_size=3), max_size=8)


@given(EDGES)
def test_unblocked_items_are_selected_and_every_other_has_a_reason(edges: dict[int, list[int]]) -> None:
    ready = [child(number) for number in range(1, 9)]
    blockers = {ref(number): tuple(child(one) for one in those) for number, those in edges.items()}
    refused = refuse_blocked(ready, blockers, lambda _: work_item().approval)
    assert {one.number for one in refused} == {number for number, those in edges.items() if those}

    def reaches(start: int, goal: int, seen: frozenset[int] = frozenset()) -> bool:
        return any(
            one == goal or (one not in seen and reaches(one, goal, seen | {one})) for one in edges.get(start, [])
        )

    for key, why in refused.items():
        assert ("waits for itself" in why.reason) == reaches(key.number, key.number)


def test_sub_issues_keep_the_order_of_their_parent() -> None:
    """Their numbers do not matter."""
    host = family(child(30), child(20), child(25))
    assert numbers(chosen(host, dispatch(10))) == [30, 20, 25] and isinstance(PARENT, IssueRef)


def test_issues_of_another_repository_need_a_person_who_may_write_there() -> None:
    far = issue(ref=ref(3, "DrivvenConsulting/network"), title="[ops] Far")
    host = FakeHost(issues={far.ref: far}, events={})
    event = replace(dispatch(3), issues=(far.ref,))
    assert (refused := chosen(host, event).refused) is not None and refused.conclusion is Conclusion.NOT_AUTHORISED
    host.permissions[("DrivvenConsulting/network", "maria")] = Permission.WRITE
    assert [item.ref for item in chosen(host, event).items] == [far.ref]


@pytest.mark.parametrize("order", [(10, 11), (11, 10)])
def test_a_sub_issue_that_is_also_dispatched_itself_counts_as_dispatched(order: tuple[int, ...]) -> None:
    """Where the board cannot be read, the dispatch of an issue counts as Ready."""
    host = family(child(11, labels=()), child(12, labels=()))
    selection = chosen(host, dispatch(*order), FakeBoard(otherwise="no access"))
    assert numbers(selection) == [11] and set(reasons(selection)) == {12}


def test_an_item_in_progress_without_our_branch_is_declined() -> None:
    assert numbers(chosen(family(child(11)), dispatch(10), FakeBoard(otherwise=card("In Progress")))) == []
