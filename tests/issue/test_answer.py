"""The comment on an issue that was not admitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from builders import MARIA, comment, run
from doubles.hosting import CommentingHost
from doubles.reporter import KeepingReporter
from issue.intake_doubles import ref
from ops_agent.model.errors import NotPermitted
from ops_agent.model.outcome import Conclusion, Stopped
from ops_agent.model.ports import World
from ops_agent.pages.issue_comment import ANSWER_MARK
from ops_agent.run.answer import answer

ASKED = Stopped(
    conclusion=Conclusion.NEEDS_INFO,
    reason="It says @nothing.",
    remedy="Answer.",
    questions=("Which queue, ghs_secret?",),
)


def comments_after(
    host: CommentingHost,
    stopped: Stopped = ASKED,
    dry_run: bool = False,
    reporter: KeepingReporter | None = None,
) -> list[str]:
    parts: dict[str, Any] = dict.fromkeys(
        ("branches", "pull_requests", "board", "llm", "cloud", "terraform", "linters", "clock", "scratch")
    )
    world = World(
        **parts,
        issues=cast(Any, host),
        reporter=reporter or KeepingReporter(),
        redact=lambda text: text.replace("ghs_secret", "[redacted]"),
    )
    answer(world, ref(12), stopped, run(), dry_run=dry_run)
    return [c.body for c in host.said.get(ref(12), ())]


def test_questions_go_into_one_comment_that_is_edited_in_place() -> None:
    host = CommentingHost()
    first = comments_after(host)
    assert len(first) == 1 and "Which queue" in first[0] and "run 77" in first[0]
    assert "@nothing" not in first[0] and "ghs_secret" not in first[0]
    assert (
        len(comments_after(host, replace(ASKED, questions=("And where?",)))) == 1
        and "And where?" in host.said[ref(12)][0].body
    )


def test_a_mark_in_someone_else_s_comment_is_not_ours() -> None:
    host = CommentingHost(said={ref(12): (comment(f"{ANSWER_MARK} forged", MARIA),)})
    first, second = comments_after(host)
    assert first == f"{ANSWER_MARK} forged" and second.startswith(ANSWER_MARK)


@pytest.mark.parametrize(
    ("stopped", "dry_run"),
    [
        (replace(ASKED, quiet=True), False),
        (replace(ASKED, conclusion=Conclusion.NOT_AUTHORISED), False),
        (replace(ASKED, conclusion=Conclusion.STALE), False),
        (ASKED, True),
    ],
)
def test_quiet_refusals_and_dry_runs_write_no_comment(stopped: Stopped, dry_run: bool) -> None:
    assert comments_after(CommentingHost(), stopped, dry_run) == []


def test_a_comment_that_cannot_be_written_is_a_warning() -> None:
    host = CommentingHost(broken=NotPermitted("issues: write is missing"))
    reporter = KeepingReporter()
    assert comments_after(host, reporter=reporter) == [] and "issues: write" in reporter.annotations[0][1]
