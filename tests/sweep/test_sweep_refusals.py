"""A run that ends with a "no" dies while it gives the item back, or while it answers: the next attempt gives it back
whole.

M16 and N03 of the security bar. In the end: the card in Ready, no branch, no pull request, one comment that says why.
"""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.model.conversation import LlmReply
from publication.deaths import Died, mortal
from sweep.sweep_doubles import asking, forbidden
from sweep.sweep_world import Play, Theatre
from sweep.test_calls import ADMIT, ANSWER, CLAIM, READ_BASE, RELEASE

_BEFORE_RELEASE = (
    len(ADMIT) + len(CLAIM) + len(READ_BASE) + 2
)  # the archive's second address, and one edit of the comment
RELEASING = range(_BEFORE_RELEASE + 1, _BEFORE_RELEASE + len(RELEASE) + 1)
ENDINGS: dict[str, tuple[LlmReply, ...]] = {"needs_info": asking(), "blocked_by_policy": forbidden()}


def _given_back(play: Play, conclusion: str) -> None:
    seen = play.seen()
    assert (seen["branches"], seen["pulls"], seen["column"], seen["state"], seen["labels"]) == (
        {},
        [],
        "Ready",
        "open",
        ["ready"],
    )
    assert len(seen["comments"]) == 1
    assert f"**{conclusion}**" in seen["comments"][0]


@pytest.mark.parametrize("conclusion", ENDINGS)
def test_a_no_gives_the_item_back_with_exactly_these_requests(theatre: Theatre, conclusion: str) -> None:
    play = theatre.play()
    end = play.run(play.labelled(), ENDINGS[conclusion])
    assert end.conclusion == conclusion
    assert tuple(call.operation for call in theatre.github.recorder.calls[-len(RELEASE) :]) == RELEASE
    _given_back(play, conclusion)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", RELEASING)
@pytest.mark.parametrize("conclusion", ENDINGS)
def test_a_release_that_dies_is_finished_by_the_next_attempt(
    theatre: Theatre, conclusion: str, k: int, after: bool
) -> None:
    play = theatre.play()
    payload = play.labelled()
    with pytest.raises(Died):
        play.run(payload, ENDINGS[conclusion], http=mortal(play.connection(), k, after=after))
    end = play.run(payload, ENDINGS[conclusion], attempt=2)
    assert end.conclusion == conclusion, end.reporter.said
    _given_back(play, conclusion)


@pytest.mark.parametrize("k", RELEASING)
def test_a_release_that_died_does_not_keep_a_new_label_from_publishing(theatre: Theatre, k: int) -> None:
    """Nothing of the dead "no" is left in the pull request, and its comment is replaced."""
    play = theatre.play()
    with pytest.raises(Died):
        play.run(play.labelled(), asking(), http=mortal(play.connection(), k, after=True))
    play.repository.add_run(77, status="completed", conclusion="failure")
    end = play.run(play.labelled(), run_id=78)
    assert end.conclusion == "published", end.reporter.said
    seen = play.seen()
    assert (len(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (1, 1, 1, "In Review")
    assert "needs_info" not in seen["comments"][0]


@pytest.mark.parametrize("fault", ["lost before", "lost after", "502 before", "502 after"])
@pytest.mark.parametrize("k", range(1, len(RELEASE) + 1))
def test_a_release_survives_a_fault_at_any_of_its_requests(theatre: Theatre, k: int, fault: str) -> None:
    play = theatre.play()
    what, when = fault.split()
    planned = theatre.github.faults.at(
        _BEFORE_RELEASE - 1 + k
    )  # the recorder does not count the archive's second address
    if what == "502":
        planned.answer(502, after=when == "after")
    elif when == "after":
        planned.drop_after()
    else:
        planned.drop_before()
    end = play.run(play.labelled(), asking())
    assert (planned.hits, end.conclusion, end.reporter.annotations) == (1, "needs_info", []), end.reporter.said
    _given_back(play, "needs_info")


def _without_words(theatre: Theatre) -> tuple[Play, dict[str, Any]]:
    play = theatre.play()
    play.issue.edit(body="<!-- nothing that a person sees -->", by="maria")
    return play, play.labelled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", range(1, len(ADMIT[:-1]) + len(ANSWER) + 1))
def test_an_answer_that_dies_is_given_once_by_the_next_attempt(theatre: Theatre, k: int, after: bool) -> None:
    """The issue was not admitted: a comment asks, and nothing else is written."""
    play, payload = _without_words(theatre)
    with pytest.raises(Died):
        play.run(payload, http=mortal(play.connection(), k, after=after))
    end = play.run(payload, attempt=2)
    assert (end.conclusion, end.llm_requests) == ("needs_info", 0)
    _given_back(play, "needs_info")
