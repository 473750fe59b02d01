"""One admission against a GitHub of dictionaries that cannot be written to, and how its end is read."""

from __future__ import annotations

from typing import Any

from builders import labelled, run, settings_with
from doubles.hosting import FakeBoard, FakeHost
from issue.intake_doubles import ref, world
from ops_agent.model.event import Actor, ActorKind, Event, IssueRef
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.work_item import WorkItem
from ops_agent.run.admit import admit

BOT = Actor(login="release[bot]", id=7001, kind=ActorKind.BOT)
UNREADABLE = "the token cannot see project 6 of DrivvenConsulting"


def go(
    host: FakeHost | None = None,
    event: Event | None = None,
    board: FakeBoard | None = None,
    to: IssueRef | None = None,
    **settings: Any,
) -> WorkItem | Stopped:
    return admit(world(host or FakeHost(), board), settings_with(**settings), event or labelled(), to or ref(12), run())


def admitted(*args: Any, **fields: Any) -> WorkItem:
    item = go(*args, **fields)
    assert isinstance(item, WorkItem), item
    return item


def stopped(conclusion: Conclusion, *args: Any, **fields: Any) -> Stopped:
    answer = go(*args, **fields)
    assert isinstance(answer, Stopped) and answer.conclusion is conclusion, answer
    assert answer.reason.endswith(".") and answer.remedy
    return answer
