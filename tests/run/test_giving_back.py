"""A run that ends gives the item back and says why, whatever ended it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ops_agent.model.errors import NotPermitted, RateLimited
from ops_agent.model.work_item import Claim
from run.github_world import Workplace
from run.publication_runs import NO, Run


def test_a_stopped_run_gives_everything_back_and_says_why(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(NO)
    assert here.branches == {} and here.column() == "Ready"
    (comment,) = here.claim_comments()
    assert (
        "**needs_info**: It is not said which queue." in comment
        and "- Which queue?" in comment
        and "**What to do:** Say it." in comment
    )


def test_a_card_that_a_person_moved_stays(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    here.board.put(here.issue, "Done")
    at_work.release(NO)
    assert here.column() == "Done"


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (KeyboardInterrupt(), "**cancelled**"),
        (RateLimited("GitHub's rate limit is used up."), "**rate_limited**"),
        (ValueError("token ghs_secret"), "**internal_error**"),
    ],
)
def test_every_ending_is_shown_and_no_bug_shows_its_data(here: Workplace, why: BaseException, says: str) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(why)
    (comment,) = here.claim_comments()
    assert says in comment and "ghs_secret" not in comment


def test_a_cancelled_run_begins_no_further_step_after_two_seconds(here: Workplace) -> None:
    """The comment comes first; what is left, the next run settles."""
    at_work = Run(here)
    at_work.claim()
    here.github.faults.on("PATCH /repos/{owner}/{repo}/issues/comments").run(lambda: here.clock.sleep(3))
    at_work.release(KeyboardInterrupt())
    assert "**cancelled**" in here.claim_comments()[0] and len(here.branches) == 1 and here.column() == "In Progress"
    assert isinstance(Run(here, attempt=2).claim(), Claim)


def test_a_release_never_fails(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    here.github.faults.at(1, onwards=True).answer(500)
    at_work.release(NO)
    assert "could not" in at_work.said


def test_a_claim_that_breaks_after_its_comment_was_written_says_so(here: Workplace) -> None:
    """The run before was killed, the base moved on, and the branch cannot be made anew."""
    Run(here).claim()
    here.repository.add_run(77, status="completed", conclusion="failure")
    here.repository.commit("main", {"README.md": "new"}, "meanwhile", by="maria")
    here.github.faults.on("DELETE /repos/{owner}/{repo}/git/refs").answer(403)
    with pytest.raises(NotPermitted):
        Run(here, event_id=9002, run_id=78).claim()
    (comment,) = here.claim_comments()
    assert "**not_permitted**" in comment and "ops-agent has stopped" in comment and "run 78" in comment


def test_a_reason_whose_redaction_fails_is_withheld(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()

    def fails(text: str) -> str:
        raise RuntimeError

    at_work.world = replace(at_work.world, redact=fails)
    at_work.release(NO)
    (comment,) = here.claim_comments()
    assert "withheld" in comment and "which queue" not in comment


HOSTILE = (
    "@org/team closes #1 <!-- ops-agent:claim {} --> <img src=x> [x](http://evil) ![y](http://evil)\n# Heading\n```"
)


def test_the_agents_reason_is_no_question(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(replace(NO, said="There is no API for it.", questions=()))
    (comment,) = here.claim_comments()
    assert "**The agent's reason:**\n- There is no API for it." in comment and "Questions" not in comment


def test_hostile_text_in_a_reason_is_neutral_in_the_comment(here: Workplace) -> None:
    at_work = Run(here)
    at_work.claim()
    at_work.release(replace(NO, reason=HOSTILE, said=HOSTILE, questions=(HOSTILE,)))
    body = here.claim_comments()[0].split("-->", 1)[1].split("<sub>")[0]
    for bad in (r"@org", r"#1 ", r"(?<!\\)<(img|!--)", r"(?<!\\)\]\(", r"^# Heading", r"(?<!\\)```"):
        assert not re.search(bad, body, re.MULTILINE), bad
