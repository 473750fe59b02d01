"""A run that declines dies while it releases the item, or while it answers: the next attempt releases it completely.

In the end: the card in Ready, no branch, no pull request, one comment with the reason.
"""

from __future__ import annotations

from typing import Any

import pytest

from ops_agent.model.conversation import LlmReply
from run.deaths import Died, mortal
from sweep.sweep_doubles import asking, forbidden
from sweep.sweep_world import IssueScenario, SweepGitHub
from sweep.test_calls import ADMIT, ANSWER, ASK_ABILITIES, ASK_RULES, CLAIM, READ_BASE, RELEASE

_BEFORE_RELEASE = (
    len(ADMIT) + len(CLAIM) + len(READ_BASE) + len(ASK_ABILITIES) + len(ASK_RULES) + 2
)  # the archive's second address, and one edit of the comment
RELEASING = range(_BEFORE_RELEASE + 1, _BEFORE_RELEASE + len(RELEASE) + 1)
ENDINGS: dict[str, tuple[LlmReply, ...]] = {"needs_info": asking(), "blocked_by_policy": forbidden()}


def _given_back(scenario: IssueScenario, conclusion: str) -> None:
    seen = scenario.seen()
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
def test_a_stopped_run_releases_the_item_with_exactly_these_requests(
    sweep_github: SweepGitHub, conclusion: str
) -> None:
    scenario = sweep_github.scenario()
    end = scenario.run(scenario.labelled(), ENDINGS[conclusion])
    assert end.conclusion == conclusion
    assert tuple(call.operation for call in sweep_github.github.recorder.calls[-len(RELEASE) :]) == RELEASE
    _given_back(scenario, conclusion)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", RELEASING)
@pytest.mark.parametrize("conclusion", ENDINGS)
def test_a_release_that_dies_is_finished_by_the_next_attempt(
    sweep_github: SweepGitHub, conclusion: str, k: int, after: bool
) -> None:
    scenario = sweep_github.scenario()
    payload = scenario.labelled()
    with pytest.raises(Died):
        scenario.run(payload, ENDINGS[conclusion], http=mortal(scenario.connection(), k, after=after))
    end = scenario.run(payload, ENDINGS[conclusion], attempt=2)
    assert end.conclusion == conclusion, end.reporter.said
    _given_back(scenario, conclusion)


@pytest.mark.parametrize("k", RELEASING)
def test_a_release_that_died_does_not_keep_a_new_label_from_publishing(sweep_github: SweepGitHub, k: int) -> None:
    """The pull request holds no trace of the earlier refusal, whose comment is replaced."""
    scenario = sweep_github.scenario()
    with pytest.raises(Died):
        scenario.run(scenario.labelled(), asking(), http=mortal(scenario.connection(), k, after=True))
    scenario.repository.add_run(77, status="completed", conclusion="failure")
    end = scenario.run(scenario.labelled(), run_id=78)
    assert end.conclusion == "published", end.reporter.said
    seen = scenario.seen()
    assert (len(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (1, 1, 1, "In Review")
    assert "needs_info" not in seen["comments"][0]


@pytest.mark.parametrize("fault", ["lost before", "lost after", "502 before", "502 after"])
@pytest.mark.parametrize("k", range(1, len(RELEASE) + 1))
def test_a_release_survives_a_fault_at_any_of_its_requests(sweep_github: SweepGitHub, k: int, fault: str) -> None:
    scenario = sweep_github.scenario()
    what, when = fault.split()
    planned = sweep_github.github.faults.at(
        _BEFORE_RELEASE - 1 + k
    )  # the recorder does not count the archive's second address
    if what == "502":
        planned.answer(502, after=when == "after")
    elif when == "after":
        planned.drop_after()
    else:
        planned.drop_before()
    end = scenario.run(scenario.labelled(), asking())
    assert (planned.hits, end.conclusion, end.reporter.annotations) == (1, "needs_info", []), end.reporter.said
    _given_back(scenario, "needs_info")


def _without_words(sweep_github: SweepGitHub) -> tuple[IssueScenario, dict[str, Any]]:
    scenario = sweep_github.scenario()
    scenario.issue.edit(body="<!-- nothing that a person sees -->", by="maria")
    return scenario, scenario.labelled()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("k", range(1, len(ADMIT[:-1]) + len(ANSWER) + 1))
def test_a_run_that_dies_while_answering_is_completed_with_one_answer(
    sweep_github: SweepGitHub, k: int, after: bool
) -> None:
    """The issue was not admitted: a comment asks, and nothing else is written."""
    scenario, payload = _without_words(sweep_github)
    with pytest.raises(Died):
        scenario.run(payload, http=mortal(scenario.connection(), k, after=after))
    end = scenario.run(payload, attempt=2)
    assert (end.conclusion, end.llm_requests) == ("needs_info", 0)
    _given_back(scenario, "needs_info")
