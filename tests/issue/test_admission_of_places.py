"""Whether the board, the blockers and the repository let the work begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import REPOSITORY, dispatched, issue, labelled
from doubles.hosting import HERE, FakeBoard, FakeHost, card, label_event
from issue.admission_runs import UNREADABLE, admitted, stopped
from issue.intake_doubles import JOAO, live, ref
from ops_agent.model.errors import NotFound
from ops_agent.model.event import IssueRef, Permission
from ops_agent.model.outcome import Conclusion


@pytest.mark.parametrize("field", ["archived", "disabled"])
def test_a_repository_that_cannot_be_written_is_a_config_error(field: str) -> None:
    host = FakeHost(repositories={HERE: replace(REPOSITORY, **{field: True})})
    assert field in stopped(Conclusion.CONFIG_ERROR, host).reason


def test_a_missing_repository_branch_or_issue_is_asked_for() -> None:
    assert stopped(Conclusion.NEEDS_INFO, FakeHost(), target_repository="DrivvenConsulting/none").questions
    assert "`develop`" in stopped(Conclusion.NEEDS_INFO, FakeHost(), base_branch="develop").reason
    assert stopped(Conclusion.NEEDS_INFO, FakeHost(branches=set())).questions
    assert stopped(Conclusion.NEEDS_INFO, FakeHost(), dispatched(), to=ref(99)).questions


def test_another_repository_of_the_owner_may_be_the_target_when_the_labeller_may_write_there() -> None:
    infra = replace(REPOSITORY, name="infra", id=4712, default_branch="develop")
    host = FakeHost(repositories={HERE: REPOSITORY, infra.full_name: infra}, branches={(infra.full_name, "develop")})
    stopped(Conclusion.NOT_AUTHORISED, host, target_repository=infra.full_name)
    host.permissions[(infra.full_name, "maria")] = Permission.WRITE
    item = admitted(host, target_repository=infra.full_name)
    assert (item.target, item.base_branch) == (infra, "develop")


def test_a_target_or_issue_of_another_owner_is_refused_without_a_request() -> None:
    host = FakeHost()
    stopped(Conclusion.CONFIG_ERROR, host, target_repository="someone/else")
    stopped(Conclusion.CONFIG_ERROR, host, dispatched(), to=ref(12, "someone/else"))
    assert not host.calls


@pytest.mark.parametrize("status", ["Backlog", "In Progress", "Done", None])
def test_an_item_that_is_not_in_ready_is_declined(status: str | None) -> None:
    answer = stopped(Conclusion.DECLINED, FakeHost(), board=FakeBoard(otherwise=card(status)))
    assert "Ready" in answer.reason and not answer.quiet


def test_the_status_of_the_board_is_compared_without_case() -> None:
    board = FakeBoard(otherwise=card("READY", (("o1", "READY"),)))
    assert admitted(board=board)
    assert admitted(
        board=FakeBoard(otherwise=card("ready to go", (("o1", "Ready To Go"),))), status_ready="ready to go"
    )


def test_an_item_of_ours_goes_on_from_in_progress() -> None:
    """A new approval may continue an item that has a branch."""
    board = FakeBoard(otherwise=card("In progress"))
    host = FakeHost(branches={(HERE, "main"), (HERE, "ops-agent/issue-12")})
    assert admitted(host, board=board)
    stopped(Conclusion.DECLINED, FakeHost(), board=board)
    stopped(Conclusion.DECLINED, host, board=FakeBoard(otherwise=card("Done")))


@pytest.mark.parametrize(
    "board", [FakeBoard(otherwise=UNREADABLE), FakeBoard(otherwise=card("Todo", (("o1", "Todo"),)))]
)
def test_the_label_ready_replaces_a_board_that_cannot_be_used(board: FakeBoard) -> None:
    """With a warning; the label `[ops]` alone is not enough."""
    assert "board" in admitted(board=board).warnings[0]
    alone = live(FakeHost(events={ref(12): (label_event("[ops]"),)}), labels=("[ops]",))
    stopped(Conclusion.DECLINED, alone, labelled(label="[ops]"), board=board)
    both = live(
        FakeHost(events={ref(12): (label_event("ready", number=1), label_event("[ops]"))}), labels=("[ops]", "ready")
    )
    assert admitted(both, labelled(label="[ops]"), board=board)
    by_triage = live(
        FakeHost(events={ref(12): (label_event("ready", by=JOAO, number=1), label_event("[ops]"))}),
        labels=("[ops]", "ready"),
    )
    stopped(Conclusion.DECLINED, by_triage, labelled(label="[ops]"), board=board)
    assert "dispatch" in admitted(FakeHost(events={}), dispatched(), board=board).warnings[0]


def test_an_open_blocker_is_named_and_a_closed_one_does_not_count() -> None:
    other = issue(ref=ref(3, "DrivvenConsulting/network"))
    host = FakeHost(blocking={ref(12): (issue(ref=ref(8), is_open=False), issue(ref=ref(9)), other)})
    reason = stopped(Conclusion.DECLINED, host).reason
    assert "#9" in reason and "DrivvenConsulting/network#3" in reason and "#8" not in reason
    host.blocking[ref(12)] = (issue(ref=ref(8), is_open=False),)
    assert admitted(host)


def test_a_github_without_dependencies_is_warned_about() -> None:
    assert "order" in admitted(FakeHost(blocking={ref(12): NotFound("404")})).warnings[0]


def test_the_input_base_branch_becomes_the_base_branch_of_the_item() -> None:
    host = FakeHost(branches={(HERE, "main"), (HERE, "develop")})
    assert admitted(host, base_branch="develop").base_branch == "develop"


def test_a_github_without_sub_issues_gives_an_item_without_a_parent() -> None:
    class Older(FakeHost):
        def parent(self, ref: IssueRef) -> IssueRef | None:
            raise NotFound("404")

    assert admitted(Older()).parent is None
