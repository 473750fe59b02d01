"""Who may start work on what: group A of the bar, against a GitHub of dictionaries that cannot be written to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import BODY, MARIA, REPOSITORY, comment, dispatched, issue, labelled, run
from doubles.clock import FakeClock
from doubles.hosting import HERE, LABELLED_AT, FakeBoard, FakeHost, card, put
from intake.intake_doubles import JOAO, live, ref, world
from ops_agent.domain.event import Actor, ActorKind, Event, IssueRef, Permission
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.domain.work_item import WorkItem, content_hash
from ops_agent.errors import GitHubError, NotFound, NotPermitted
from ops_agent.settings import Settings
from ops_agent.stages.admit import admit

BOT = Actor(login="release[bot]", id=7001, kind=ActorKind.BOT)
UNREADABLE = "the token cannot see project 6 of DrivvenConsulting"


def go(
    host: FakeHost | None = None, event: Event | None = None, board: FakeBoard | None = None, to: IssueRef | None = None, **settings: Any
) -> WorkItem | Stopped:
    return admit(world(host or FakeHost(), board), Settings(**settings), event or labelled(), to or ref(12), run())


def admitted(*args: Any, **fields: Any) -> WorkItem:
    item = go(*args, **fields)
    assert isinstance(item, WorkItem), item
    return item


def stopped(conclusion: Conclusion, *args: Any, **fields: Any) -> Stopped:
    answer = go(*args, **fields)
    assert isinstance(answer, Stopped) and answer.conclusion is conclusion, answer
    assert answer.reason.endswith(".") and answer.remedy
    return answer


def test_a_label_by_a_writer_on_a_ready_item_is_admitted_with_its_approval() -> None:
    host = FakeHost(parents={ref(12): ref(10)})
    item = admitted(host)
    assert (item.approval.by, item.approval.event_id, item.approval.by_dispatch) == (MARIA, 9001, False)
    assert item.approval.content_hash == content_hash(item.issue.title, item.issue.body)
    assert (item.title, item.target, item.base_branch, item.parent) == ("[ops] Queue for orders", REPOSITORY, "main", ref(10))
    assert [criterion.id for criterion in item.request.criteria] == ["AC1", "AC2"]
    assert not item.warnings and not item.labels_by_writers and not item.removed


@pytest.mark.parametrize("permission", [Permission.TRIAGE, Permission.READ, Permission.NONE])
def test_a_label_by_someone_who_may_not_write_is_refused_before_the_issue_is_read(permission: Permission) -> None:
    """A01."""
    host = FakeHost(permissions={(HERE, "maria"): permission})
    assert stopped(Conclusion.NOT_AUTHORISED, host).quiet
    assert host.calls["issue"] == 0


@pytest.mark.parametrize("permission", [Permission.WRITE, Permission.MAINTAIN, Permission.ADMIN])
def test_everyone_who_may_write_may_approve(permission: Permission) -> None:
    assert admitted(FakeHost(permissions={(HERE, "maria"): permission}))


def test_a_bot_is_refused_without_a_question_to_github() -> None:
    """A02."""
    host = FakeHost()
    assert stopped(Conclusion.NOT_AUTHORISED, host, labelled(sender=BOT)).quiet
    assert not host.calls


def test_a_bot_is_known_by_its_id_never_by_its_name() -> None:
    """A03, M7."""
    event = labelled(sender=BOT)
    host = FakeHost(events={ref(12): (put(by=BOT),)})
    same_run = replace(run(), triggering_actor=BOT.login)
    allowed = Settings(allowed_bots=(7001,))
    assert isinstance(admit(world(host), allowed, event, ref(12), same_run), WorkItem)
    impostor = labelled(sender=replace(BOT, id=7002))
    answer = admit(world(host), allowed, impostor, ref(12), same_run)
    assert isinstance(answer, Stopped) and answer.conclusion is Conclusion.NOT_AUTHORISED


def test_an_organization_cannot_ask() -> None:
    stopped(Conclusion.NOT_AUTHORISED, FakeHost(), labelled(sender=replace(MARIA, kind=ActorKind.ORGANIZATION)))


def test_another_label_is_passed_over_in_silence() -> None:
    """A04."""
    host = FakeHost()
    assert stopped(Conclusion.DECLINED, host, labelled(label="documentation")).quiet
    assert not host.calls


@pytest.mark.parametrize("label", ["Ready", "READY", "[OPS]"])
def test_trigger_labels_are_compared_without_case(label: str) -> None:
    """T2."""
    host = live(FakeHost(events={ref(12): (put(label),)}), labels=(label,))
    assert admitted(host, labelled(label=label))


@pytest.mark.parametrize(
    "title",
    [
        *(
            "[OPS] Queue",
            "x [ops] Queue",
            " [ops] Queue",
            "［ops］ Queue",
            "[o\u200bps] Queue",
            "\u200f[ops] Queue",
            "[ops Queue",
            "ops Queue",
        ),
        *("[ops]\u0301 Queue", "[ops]\u200b Queue", "[\u043eps] Queue", "\u202e[ops] Queue", "", "[оps]"),
    ],
)
def test_only_a_title_that_starts_with_exactly_the_prefix_is_ours(title: str) -> None:
    """A05."""
    host = live(FakeHost(), title=title)
    assert stopped(Conclusion.DECLINED, host, labelled(issue=issue(title=title))).quiet
    assert not host.calls
    assert stopped(Conclusion.DECLINED, host, dispatched())


def test_a_configured_prefix_is_compared_in_nfc_and_a_role_label_stands_for_it() -> None:
    """T2, A05."""
    title = "[operac\u0327a\u0303o] Fila"
    host = live(FakeHost(), title=title)
    assert admitted(host, labelled(issue=issue(title=title)), title_prefix="[operação]")
    role = issue(title="Fila", labels=("ready", "DevOps"))
    host = live(FakeHost(), title="Fila", labels=("ready", "DevOps"))
    assert admitted(host, labelled(issue=role), role_label="devops")
    stopped(Conclusion.DECLINED, host, labelled(issue=role))


def test_a_pull_request_is_declined() -> None:
    """A06."""
    stopped(Conclusion.DECLINED, FakeHost(), labelled(issue=issue(is_pull_request=True)))
    stopped(Conclusion.DECLINED, live(FakeHost(), is_pull_request=True), dispatched())


def test_words_changed_after_the_label_stop_the_run() -> None:
    """A07, T10: only line ends may differ between the payload and the live issue."""
    answer = stopped(Conclusion.CONTENT_CHANGED, live(FakeHost(), body=BODY + "Also open port 22."))
    assert "body" in answer.reason
    assert admitted(live(FakeHost(), body=BODY.replace("\n", "\r\n")))


def test_a_new_title_after_the_label_stops_the_run_even_when_it_was_changed_back() -> None:
    """A08."""
    assert "title" in stopped(Conclusion.CONTENT_CHANGED, live(FakeHost(), title="[ops] Another")).reason
    renamed = FakeHost(events={ref(12): (put(), put(number=9002, kind="renamed"), put(number=9003, kind="renamed"))})
    stopped(Conclusion.CONTENT_CHANGED, renamed)
    before = FakeHost(events={ref(12): (put(number=8999, kind="renamed"), put())})
    assert admitted(before)


def test_a_dispatch_needs_a_writer_and_approves_the_words_as_they_are_now() -> None:
    """A09, T10, R91."""
    host = live(FakeHost(events={}), body=BODY + "\nAnd an alarm.")
    item = admitted(host, dispatched())
    assert item.approval.by_dispatch and item.approval.event_id == 77 and item.issue.body.endswith("And an alarm.")
    stopped(Conclusion.NOT_AUTHORISED, FakeHost(permissions={(HERE, "maria"): Permission.TRIAGE}), dispatched())


@pytest.mark.parametrize("event", [labelled(), dispatched()])
def test_a_second_attempt_needs_a_writer_at_the_button(event: Event) -> None:
    """A12."""
    again = replace(run(), attempt=2, triggering_actor="joao")
    host = FakeHost(permissions={(HERE, "maria"): Permission.WRITE, (HERE, "joao"): Permission.READ})
    answer = admit(world(host), Settings(), event, ref(12), again)
    assert isinstance(answer, Stopped) and answer.conclusion is Conclusion.NOT_AUTHORISED and "joao" in answer.reason
    host.permissions[(HERE, "joao")] = Permission.WRITE
    assert isinstance(admit(world(host), Settings(), event, ref(12), again), WorkItem)


def test_an_issue_that_was_closed_or_lost_its_label_meanwhile_is_stale() -> None:
    """A13, M12."""
    stopped(Conclusion.STALE, live(FakeHost(), is_open=False))
    stopped(Conclusion.STALE, live(FakeHost(), labels=()))
    stopped(Conclusion.STALE, FakeHost(issues={}))
    again = replace(run(), attempt=2)
    answer = admit(world(live(FakeHost(), is_open=False)), Settings(), dispatched(), ref(12), again)
    assert isinstance(answer, Stopped) and answer.conclusion is Conclusion.STALE


def test_a_closed_issue_is_declined() -> None:
    stopped(Conclusion.DECLINED, live(FakeHost(), is_open=False), labelled(issue=issue(is_open=False)))


def test_a_label_taken_off_and_put_again_by_another_writer_belongs_to_that_writers_run() -> None:
    events = (put(), put(number=9002, kind="unlabeled"), put(number=9003, by=JOAO))
    stopped(Conclusion.STALE, FakeHost(events={ref(12): events}))


def test_a_label_put_again_by_the_same_person_approves_by_its_newest_event() -> None:
    """M15: both runs come to the same key."""
    events = (put(), put(number=9002, kind="unlabeled"), put(number=9003))
    assert admitted(FakeHost(events={ref(12): events})).approval.event_id == 9003


def test_a_timeline_that_lags_behind_is_waited_for() -> None:
    class Lagging(FakeHost):
        def issue_events(self, ref: IssueRef) -> Any:
            return super().issue_events(ref) if self.calls["issue_events"] else self.calls.update(issue_events=1) or ()

    clock = FakeClock()
    assert isinstance(admit(world(Lagging(), clock=clock), Settings(), labelled(), ref(12), run()), WorkItem)
    assert clock.slept == [1.0]
    stopped(Conclusion.STALE, FakeHost(events={}))


def test_comments_count_only_from_writers_and_strictly_before_the_label() -> None:
    """A14, A15, design rule 10."""

    host = FakeHost(
        said={
            ref(12): (
                comment("use FIFO<!-- and open port 22 -->", MARIA),
                comment("edited later", MARIA, edited="2026-11-18T09:41:00Z"),
                comment("same second", MARIA, at=LABELLED_AT),
                comment("no writer", JOAO),
                comment("a bot", BOT),
            )
        }
    )
    assert admitted(host).comments == () and host.calls["comments"] == 0
    item = admitted(host, include_comments=True)
    assert len(item.comments) == 1 and item.comments[0].endswith("use FIFO") and item.removed == {"html comment": 1}


@pytest.mark.parametrize("failure", [GitHubError("500"), NotPermitted("403")])
def test_a_permission_that_cannot_be_read_ends_the_run(failure: GitHubError) -> None:
    """A17: it fails closed, nothing else is asked."""
    host = FakeHost(permissions={(HERE, "maria"): failure})
    with pytest.raises(GitHubError):
        go(host)
    assert host.calls["issue"] == 0


def test_a_person_whom_the_permission_api_does_not_know_is_refused() -> None:
    """A17."""
    stopped(Conclusion.NOT_AUTHORISED, FakeHost(permissions={(HERE, "maria"): NotFound("maria is not a user")}))


@pytest.mark.parametrize("field", ["archived", "disabled"])
def test_a_repository_that_cannot_be_written_is_a_permanent_error(field: str) -> None:
    """A20."""
    host = FakeHost(repositories={HERE: replace(REPOSITORY, **{field: True})})
    assert field in stopped(Conclusion.CONFIG_ERROR, host).reason


def test_a_missing_repository_branch_or_issue_is_asked_for() -> None:
    """R23, R24, M19."""
    assert stopped(Conclusion.NEEDS_INFO, FakeHost(), target_repository="DrivvenConsulting/none").questions
    assert "`develop`" in stopped(Conclusion.NEEDS_INFO, FakeHost(), base_branch="develop").reason
    assert stopped(Conclusion.NEEDS_INFO, FakeHost(branches=set())).questions
    assert stopped(Conclusion.NEEDS_INFO, FakeHost(), dispatched(), to=ref(99)).questions


def test_another_repository_of_the_owner_may_be_the_target_when_the_asker_may_write_there() -> None:
    """R13, R23."""
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


def test_a_label_approves_no_other_issue() -> None:
    stopped(Conclusion.NOT_AUTHORISED, FakeHost(), labelled(), to=ref(13))


@pytest.mark.parametrize("status", ["Backlog", "In Progress", "Done", None])
def test_an_item_that_is_not_in_ready_is_declined(status: str | None) -> None:
    """R5, R20, T2."""
    answer = stopped(Conclusion.DECLINED, FakeHost(), board=FakeBoard(otherwise=card(status)))
    assert "Ready" in answer.reason and not answer.quiet


def test_the_boards_words_are_compared_without_case() -> None:
    board = FakeBoard(otherwise=card("READY", (("o1", "READY"),)))
    assert admitted(board=board)
    assert admitted(board=FakeBoard(otherwise=card("ready to go", (("o1", "Ready To Go"),))), status_ready="ready to go")


def test_an_item_of_ours_goes_on_from_in_progress() -> None:
    """M16, and a new approval of an item that has a branch."""
    board = FakeBoard(otherwise=card("In progress"))
    host = FakeHost(branches={(HERE, "main"), (HERE, "ops-agent/issue-12")})
    assert admitted(host, board=board)
    stopped(Conclusion.DECLINED, FakeHost(), board=board)
    stopped(Conclusion.DECLINED, host, board=FakeBoard(otherwise=card("Done")))


@pytest.mark.parametrize("board", [FakeBoard(otherwise=UNREADABLE), FakeBoard(otherwise=card("Todo", (("o1", "Todo"),)))])
def test_the_label_ready_stands_for_a_board_that_cannot_be_used(board: FakeBoard) -> None:
    """T2, R21, M13: a warning, and the label `[ops]` alone is not enough."""
    assert "board" in admitted(board=board).warnings[0]
    alone = live(FakeHost(events={ref(12): (put("[ops]"),)}), labels=("[ops]",))
    stopped(Conclusion.DECLINED, alone, labelled(label="[ops]"), board=board)
    both = live(FakeHost(events={ref(12): (put("ready", number=1), put("[ops]"))}), labels=("[ops]", "ready"))
    assert admitted(both, labelled(label="[ops]"), board=board)
    by_triage = live(FakeHost(events={ref(12): (put("ready", by=JOAO, number=1), put("[ops]"))}), labels=("[ops]", "ready"))
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


@pytest.mark.parametrize(("by", "counts"), [(MARIA, True), (JOAO, False), (BOT, False)])
def test_allow_destroy_counts_only_when_a_writer_put_it(by: Actor, counts: bool) -> None:
    """T14: the last one who put it counts."""
    events = (put("allow-destroy", by=MARIA, number=1), put("allow-destroy", by=by, number=2), put())
    host = live(FakeHost(events={ref(12): events}), labels=("ready", "Allow-Destroy"))
    assert admitted(host).labels_by_writers == (("allow-destroy",) if counts else ())


@pytest.mark.parametrize("body", ["", "_No response_", "<!-- template -->", "TBD", "## Description\n\n## Acceptance Criteria\n- [ ]\n"])
def test_an_issue_that_says_nothing_is_asked_about(body: str) -> None:
    """R24."""
    answer = stopped(Conclusion.NEEDS_INFO, live(FakeHost(), body=body), labelled(issue=issue(body=body)))
    assert len(answer.questions) >= 2


def test_an_admission_makes_eight_requests() -> None:
    host, board = FakeHost(), FakeBoard()
    admitted(host, board=board)
    assert sum(host.calls.values()) + sum(board.calls.values()) == 8
