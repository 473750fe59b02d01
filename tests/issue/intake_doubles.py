"""Shared by the tests of admission and selection: people, issue references and a World that can only be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from builders import issue
from doubles.clock import FakeClock
from doubles.hosting import HERE, FakeBoard, FakeHost
from ops_agent.model.event import Actor, ActorKind, IssueRef
from ops_agent.model.ports import World

JOAO = Actor(login="joao", id=102, kind=ActorKind.USER)
NOW = 1_795_000_000.0  # 2026-11-18T09:46:40Z, after the label of `label_event`


def ref(number: int, repository: str = HERE) -> IssueRef:
    return IssueRef(repository=repository, number=number)


def world(host: FakeHost, board: FakeBoard | None = None, clock: FakeClock | None = None) -> World:
    """A World with GitHub, a board and a clock; anything else that is touched is an error."""
    parts: dict[str, Any] = {
        "issues": host,
        "branches": host,
        "board": board or FakeBoard(),
        "clock": clock or FakeClock(NOW),
    }
    others = dict.fromkeys(("pull_requests", "llm", "cloud", "terraform", "linters", "reporter", "scratch", "redact"))
    return cast(World, World(**{**others, **parts}))


def live(host: FakeHost, **fields: Any) -> FakeHost:
    """The host with another live version of issue 12 than the payload's."""
    host.issues[issue().ref] = replace(issue(), **fields)
    return host
