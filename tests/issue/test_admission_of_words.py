"""Which issue, and which words of it, an approval covers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import BODY, dispatched, issue, labelled, run
from doubles.clock import FakeClock
from doubles.hosting import HERE, FakeHost, label_event
from issue.admission_runs import admitted, stopped
from issue.intake_doubles import live, ref, world
from ops_agent.config.settings import Settings
from ops_agent.model.event import IssueRef, Permission
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.work_item import WorkItem
from ops_agent.run.admit import admit


@pytest.mark.parametrize("label", ["Ready", "READY", "[OPS]"])
def test_trigger_labels_are_compared_without_case(label: str) -> None:
    host = live(FakeHost(events={ref(12): (label_event(label),)}), labels=(label,))
    assert admitted(host, labelled(label=label))


NEARLY = (
    *("[OPS] Queue", "x [ops] Queue", " [ops] Queue", "［ops］ Queue", "[o\u200bps] Queue", "\u200f[ops] Queue"),
    *("[ops]\u0301 Queue", "[ops]\u200b Queue", "\u202e[ops] Queue", "[ ops ] Queue"),
)
OTHER = ("[ops Queue", "ops Queue", "[\u043eps] Queue", "", "[оps]", "[dev] Read [ops] items", "Queue")


@pytest.mark.parametrize("title", [*NEARLY, *OTHER])
def test_only_a_title_that_starts_with_exactly_the_prefix_is_ours(title: str) -> None:
    """Who may write hears that a title is nearly right; about any other nothing is asked and nothing said."""
    host = live(FakeHost(), title=title)
    answer = stopped(Conclusion.DECLINED, host, labelled(issue=issue(title=title, sub_issues=0)))
    assert answer.quiet == (title in OTHER) and (answer.quiet or "first characters are `[ops]`" in answer.remedy)
    assert host.calls["issue"] == 0 and (not host.calls or not answer.quiet)
    assert stopped(Conclusion.DECLINED, host, dispatched())
    reader = FakeHost(permissions={(HERE, "maria"): Permission.TRIAGE})
    if not answer.quiet:
        assert stopped(Conclusion.NOT_AUTHORISED, reader, labelled(issue=issue(title=title))).quiet


def test_a_configured_prefix_is_compared_in_nfc_and_a_role_label_replaces_it() -> None:
    title = "[operac\u0327a\u0303o] Fila"
    host = live(FakeHost(), title=title)
    assert admitted(host, labelled(issue=issue(title=title)), title_prefix="[operação]")
    role = issue(title="Fila", labels=("ready", "DevOps"))
    host = live(FakeHost(), title="Fila", labels=("ready", "DevOps"))
    assert admitted(host, labelled(issue=role), role_label="devops")
    stopped(Conclusion.DECLINED, host, labelled(issue=role))


def test_a_pull_request_is_declined() -> None:
    stopped(Conclusion.DECLINED, FakeHost(), labelled(issue=issue(is_pull_request=True)))
    stopped(Conclusion.DECLINED, live(FakeHost(), is_pull_request=True), dispatched())


def test_words_changed_after_the_label_stop_the_run() -> None:
    """Only line ends may differ between the payload and the live issue."""
    answer = stopped(Conclusion.CONTENT_CHANGED, live(FakeHost(), body=BODY + "Also open port 22."))
    assert "body" in answer.reason
    assert admitted(live(FakeHost(), body=BODY.replace("\n", "\r\n")))


def test_a_new_title_after_the_label_stops_the_run_even_when_it_was_changed_back() -> None:
    assert "title" in stopped(Conclusion.CONTENT_CHANGED, live(FakeHost(), title="[ops] Another")).reason
    renamed = FakeHost(
        events={
            ref(12): (label_event(), label_event(number=9002, kind="renamed"), label_event(number=9003, kind="renamed"))
        }
    )
    stopped(Conclusion.CONTENT_CHANGED, renamed)
    before = FakeHost(events={ref(12): (label_event(number=8999, kind="renamed"), label_event())})
    assert admitted(before)


def test_a_dispatch_needs_a_writer_and_approves_the_words_as_they_are_now() -> None:
    host = live(FakeHost(events={}), body=BODY + "\nAnd an alarm.")
    item = admitted(host, dispatched())
    assert item.approval.by_dispatch and item.approval.event_id == 77 and item.issue.body.endswith("And an alarm.")
    stopped(Conclusion.NOT_AUTHORISED, FakeHost(permissions={(HERE, "maria"): Permission.TRIAGE}), dispatched())


def test_an_issue_that_was_closed_or_lost_its_label_meanwhile_is_stale() -> None:
    stopped(Conclusion.STALE, live(FakeHost(), is_open=False))
    stopped(Conclusion.STALE, live(FakeHost(), labels=()))
    stopped(Conclusion.STALE, FakeHost(issues={}))
    again = replace(run(), attempt=2)
    answer = admit(world(live(FakeHost(), is_open=False)), Settings(), dispatched(), ref(12), again)
    assert isinstance(answer, Stopped) and answer.conclusion is Conclusion.STALE


def test_a_closed_issue_is_declined() -> None:
    stopped(Conclusion.DECLINED, live(FakeHost(), is_open=False), labelled(issue=issue(is_open=False)))


def test_a_timeline_that_lags_behind_is_waited_for() -> None:
    class Lagging(FakeHost):
        def timeline(self, ref: IssueRef) -> Any:
            return super().timeline(ref) if self.calls["timeline"] else self.calls.update(timeline=1) or ()

    clock = FakeClock()
    assert isinstance(admit(world(Lagging(), clock=clock), Settings(), labelled(), ref(12), run()), WorkItem)
    assert clock.slept == [1.0]
    stopped(Conclusion.STALE, FakeHost(events={}))


@pytest.mark.parametrize(
    "body", ["", "_No response_", "<!-- template -->", "TBD", "## Description\n\n## Acceptance Criteria\n- [ ]\n"]
)
def test_an_issue_that_says_nothing_is_asked_about(body: str) -> None:
    answer = stopped(Conclusion.NEEDS_INFO, live(FakeHost(), body=body), labelled(issue=issue(body=body)))
    assert len(answer.questions) >= 2
