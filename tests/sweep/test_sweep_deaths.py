"""A whole run dies at any of its requests, from admission to its report: the next run brings the item to the same end.

A death after request k and one before request k+1 leave the same GitHub behind, and a
request that only reads leaves it as it was: the next attempt meets a death before every request, another run one after
every write. So both meet every state.
"""

from __future__ import annotations

from typing import Any

import pytest

from run.deaths import Died, mortal
from sweep.sweep_world import IssueScenario, SweepGitHub
from sweep.test_calls import ARCHIVE, CALLS, WRITES

REQUESTS = len(CALLS) + 1
"""One more than tests/sweep/test_calls.py lists, because the archive is fetched from where GitHub redirects to."""
BEFORE_REDIRECT = CALLS.index(ARCHIVE) + 1
AFTER = tuple(k if k <= BEFORE_REDIRECT else k + 1 for k in WRITES)
ENDS = ("published", "duplicate")
"""`duplicate`: all was done but the last steps, which need no agent; they are done, and the run says that the work was
there.
"""


@pytest.fixture(scope="module")
def reference(sweep_github: SweepGitHub) -> dict[str, Any]:
    scenario = sweep_github.scenario()
    end = scenario.run(scenario.labelled())
    assert (end.exit_code, end.conclusion, end.reporter.annotations) == (0, "published", [])
    seen = scenario.seen()
    assert (len(seen["branches"]), len(seen["pulls"]), len(seen["comments"]), seen["column"]) == (1, 1, 1, "In Review")
    assert seen["commits"] == {"ops-agent/issue-12": 1}
    return seen


def _die(scenario: IssueScenario, payload: dict[str, Any], k: int, *, after: bool) -> None:
    with pytest.raises(Died):
        scenario.run(payload, http=mortal(scenario.connection(), k, after=after))


def test_a_run_has_exactly_the_requests_that_the_sweep_kills_it_at(sweep_github: SweepGitHub) -> None:
    """So that no request is left out when one is added."""
    scenario = sweep_github.scenario()
    _die(scenario, scenario.labelled(), REQUESTS, after=True)
    scenario = sweep_github.scenario()
    assert (
        scenario.run(scenario.labelled(), http=mortal(scenario.connection(), REQUESTS + 1, after=False)).conclusion
        == "published"
    )


@pytest.mark.parametrize("k", range(1, REQUESTS + 1))
def test_a_run_that_dies_before_a_request_is_completed_by_its_next_attempt(
    sweep_github: SweepGitHub, reference: dict[str, Any], k: int
) -> None:
    scenario = sweep_github.scenario()
    payload = scenario.labelled()
    _die(scenario, payload, k, after=False)
    end = scenario.run(payload, attempt=2)
    assert (end.exit_code, end.conclusion in ENDS) == (0, True), end.reporter.said
    assert scenario.seen() == reference


@pytest.mark.parametrize("k", AFTER)
def test_a_run_that_died_after_a_write_is_completed_by_a_new_label_once_it_has_ended(
    sweep_github: SweepGitHub, reference: dict[str, Any], k: int
) -> None:
    scenario = sweep_github.scenario()
    _die(scenario, scenario.labelled(), k, after=True)
    scenario.repository.add_run(77, status="completed", conclusion="failure")
    end = scenario.run(scenario.labelled(), run_id=78)
    assert (end.exit_code, end.conclusion in ENDS) == (0, True), end.reporter.said
    seen = scenario.seen()
    if k == max(AFTER):  # all was done: the person who labelled again is told that nothing was
        seen["comments"] = [body.partition("\n\n<!-- ops-agent:later -->")[0] + "\n" for body in seen["comments"]]
    assert seen == reference


def test_a_run_that_dies_in_every_second_attempt_still_ends_the_same_way(
    sweep_github: SweepGitHub, reference: dict[str, Any]
) -> None:
    """Several deaths in a row, each a little later: nothing piles up."""
    scenario = sweep_github.scenario()
    payload = scenario.labelled()
    for attempt, k in enumerate((13, 14, 17, 25, 31, 33, 35), start=1):
        with pytest.raises(Died):
            scenario.run(payload, attempt=attempt, http=mortal(scenario.connection(), k, after=True))
    scenario.run(payload, attempt=8)
    assert scenario.seen() == reference
