"""The one comment on the issue while a run is at work."""

from __future__ import annotations

from ops_agent.model.work_item import Claim
from ops_agent.run.progress import Phase, Progress
from ops_agent.run.publish import Published
from run.github_world import Workplace
from run.publication_runs import Run


def test_without_board_access_the_intended_column_is_written_down_once(here: Workplace) -> None:
    at_work = Run(here, token=here.github.actions_token(here.repository))
    held = at_work.claim()
    assert isinstance(held, Claim)
    Progress(at_work.world, at_work.item, held, at_work.identity).show(Phase.WORKING, "turn 1")
    assert at_work.said.count("The intended column is **In Progress**") == 1
    (comment,) = [c.body for c in here.issue.comments]
    assert comment.count("The intended column is **In Progress**") == 1 and "turn 1" in comment


def test_progress_is_shown_at_most_every_twenty_seconds_but_each_phase_at_once(here: Workplace) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    progress = Progress(at_work.world, at_work.item, held, at_work.identity)

    def edits() -> int:
        return len(here.github.recorder.of("PATCH /repos/{owner}/{repo}/issues/comments"))

    def say(phase: Phase, text: str) -> int:
        before = edits()
        progress.show(phase, text)
        return edits() - before

    assert [say(Phase.WORKING, f"turn {n}") for n in range(5)] == [1, 0, 0, 0, 0]
    here.clock.sleep(21)
    assert say(Phase.WORKING, "turn 6, $0.41") == 1
    assert say(Phase.VERIFYING, "") == 1 and say(Phase.WORKING, "again") == 1
    assert "turn 6" not in here.claim_comments()[0] and "Now: again" in here.claim_comments()[0]


def test_a_deleted_progress_comment_is_left_alone(here: Workplace) -> None:
    at_work = Run(here)
    held = at_work.claim()
    assert isinstance(held, Claim)
    here.issue.comments[0].delete()
    progress = Progress(at_work.world, at_work.item, held, at_work.identity)
    for phase in (Phase.WORKING, Phase.VERIFYING, Phase.WORKING):
        progress.show(phase, "x")
    assert len(at_work.world.reporter.annotations) == 1 and here.issue.comments == []  # type: ignore[attr-defined]
    assert isinstance(at_work.publish(), Published)
