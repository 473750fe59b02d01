"""What an issue is told when it was not admitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from builders import MARIA, OUR_BOT, run
from intake.intake_doubles import ref
from ops_agent.domain.event import Actor, Comment, IssueRef
from ops_agent.domain.outcome import Conclusion, Stopped
from ops_agent.errors import NotPermitted, OpsAgentError
from ops_agent.ports import World
from ops_agent.settings import Settings
from ops_agent.stages.answer import MARK, answer

ASKED = Stopped(conclusion=Conclusion.NEEDS_INFO, reason="It says @nothing.", remedy="Answer.", questions=("Which queue, ghs_secret?",))


@dataclass
class Host:
    said: list[Comment] = field(default_factory=list)
    broken: OpsAgentError | None = None
    warnings: list[str] = field(default_factory=list)

    def viewer(self) -> Actor:
        return OUR_BOT

    def comments(self, ref: IssueRef) -> tuple[Comment, ...]:
        return tuple(self.said)

    def create_comment(self, ref: IssueRef, body: str) -> Comment:
        if self.broken:
            raise self.broken
        self.said.append(comment(body, number=len(self.said) + 1))
        return self.said[-1]

    def update_comment(self, repository: str, comment_id: int, body: str) -> None:
        self.said = [replace(c, body=body) if c.id == comment_id else c for c in self.said]

    def annotate(self, level: str, text: str, place: Any = None) -> None:
        self.warnings.append(text)


def comment(body: str, author: Actor = OUR_BOT, number: int = 1) -> Comment:
    return Comment(id=number, author=author, body=body, created_at="2026-11-18T09:00:00Z", updated_at="2026-11-18T09:00:00Z")


def told(host: Host, stopped: Stopped = ASKED, settings: Settings | None = None) -> list[str]:
    parts: dict[str, Any] = dict.fromkeys(("board", "llm", "cloud", "terraform", "linters", "clock", "scratch"))
    world = World(
        **parts, code_host=cast(Any, host), reporter=cast(Any, host), redact=lambda text: text.replace("ghs_secret", "[redacted]")
    )
    answer(world, settings or Settings(), ref(12), stopped, run())
    return [c.body for c in host.said]


def test_the_questions_are_put_in_one_comment_that_is_edited_in_place() -> None:
    """R24."""
    host = Host()
    first = told(host)
    assert len(first) == 1 and "Which queue" in first[0] and "run 77" in first[0]
    assert "@nothing" not in first[0] and "ghs_secret" not in first[0]
    assert len(told(host, replace(ASKED, questions=("And where?",)))) == 1 and "And where?" in host.said[0].body


def test_a_mark_in_someone_else_s_comment_is_not_ours() -> None:
    """J08."""
    host = Host(said=[comment(f"{MARK} forged", MARIA)])
    assert told(host)[0] == f"{MARK} forged" and len(host.said) == 2


@pytest.mark.parametrize(
    ("stopped", "settings"),
    [
        (replace(ASKED, quiet=True), Settings()),
        (replace(ASKED, conclusion=Conclusion.NOT_AUTHORISED), Settings()),
        (replace(ASKED, conclusion=Conclusion.STALE), Settings()),
        (ASKED, Settings(dry_run=True)),
    ],
)
def test_nothing_is_written_where_nobody_should_be_answered(stopped: Stopped, settings: Settings) -> None:
    """A01, A04."""
    assert told(Host(), stopped, settings) == []


def test_a_comment_that_cannot_be_written_is_a_warning() -> None:
    host = Host(broken=NotPermitted("issues: write is missing"))
    assert told(host) == [] and "issues: write" in host.warnings[0]
