"""What is longer than GitHub takes is cut visibly or refused before anything is written; it never keeps a run from
saying how it ended.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fake_github.objects import open_pull_request
from fake_github.refusals import BODY_LIMIT
from ops_agent.model.errors import PolicyViolation
from ops_agent.model.finding import Finding, Place
from ops_agent.model.outcome import Stopped
from ops_agent.run.publish import MAX_BODY_CHARACTERS, Published
from run.github_world import Workplace, changes, proposal
from run.publication_runs import NO, Run

LONG = "word " * 40_000
FINDING = Finding(rule="group/rule", title=LONG, place=Place(path=LONG, line=1), what=LONG, remedy=LONG)


@pytest.mark.parametrize(
    "stopped",
    [
        replace(NO, reason=LONG),
        replace(NO, remedy="<" * 100_000),
        replace(NO, questions=(LONG,) * 30),
        replace(NO, proposed_issues=("`" * 100_000,) * 30),
        replace(NO, findings=(FINDING,) * 30),
        replace(NO, patch=LONG, questions=(LONG,) * 8),
    ],
    ids=["reason", "remedy", "questions", "proposed issues", "findings", "patch"],
)
def test_a_reason_of_any_length_fits_the_comment(here: Workplace, stopped: Stopped) -> None:
    """Otherwise the claim would look as if its run were at work."""
    at_work = Run(here)
    at_work.claim()
    at_work.release(stopped)
    (comment,) = here.claim_comments()
    assert '"state":"stopped"' in comment and "**needs_info**" in comment and len(comment) <= BODY_LIMIT
    assert at_work.said.count("could not be edited") == 0 and "cut" in comment


def test_many_pull_requests_with_the_same_long_path_leave_space_for_ours(here: Workplace) -> None:
    """Whoever may push can open any number of them; our own text is kept."""
    path = "/".join(["infra", *["x" * 200] * 12, "queue.tf"])
    for number in range(100, 130):
        here.repository.commit(f"ops-agent/issue-{number}", {path: str(number)}, "x", by="maria")
        open_pull_request(
            here.repository, head=f"ops-agent/issue-{number}", base="main", title="x", body="x", by="maria", draft=False
        )
    at_work = Run(here)
    at_work.claim()
    assert at_work.held is not None
    text = proposal(body="x" * 60_000 + "\n\nCloses #12")
    out = at_work.publish(
        replace(changes(at_work.held.base_commit), changes=(replace(changes("").changes[0], path=path),)), text
    )
    assert isinstance(out, Published)
    assert "25 more open pull requests" in out.pull_request.body


def test_a_text_beyond_githubs_limit_is_refused_before_anything_is_written(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    before = len(here.github.recorder.writes)
    with pytest.raises(PolicyViolation, match="characters; GitHub takes"):
        at_work.publish(text=proposal(body="x" * MAX_BODY_CHARACTERS + "\n\nCloses #12"))
    assert len(here.github.recorder.writes) == before
