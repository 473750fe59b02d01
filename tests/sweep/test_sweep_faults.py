"""Any request of a whole run meets a lost connection or a broken server once: the same run goes on to the same end.

Whether the answer is lost before or after GitHub acted differs for writes only; reads
are lost before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fake_github.faults import Fault
from sweep.sweep_world import SweepGitHub
from sweep.test_calls import CALLS, WRITES

BEFORE: dict[str, Callable[[Fault], Fault]] = {
    "lost": lambda fault: fault.drop_before(),
    "502": lambda fault: fault.answer(502),
    "secondary limit": lambda fault: fault.secondary_rate_limit(retry_after=2),
}
AFTER: dict[str, Callable[[Fault], Fault]] = {
    "lost": lambda fault: fault.drop_after(),
    "502": lambda fault: fault.answer(502, after=True),
    "half an answer": lambda fault: fault.malformed(),
}


@pytest.fixture(scope="module")
def reference(sweep_github: SweepGitHub) -> dict[str, Any]:
    scenario = sweep_github.scenario()
    assert scenario.run(scenario.labelled()).conclusion == "published"
    return scenario.seen()


def _goes_on(sweep_github: SweepGitHub, reference: dict[str, Any], k: int, fault: Callable[[Fault], Fault]) -> None:
    scenario = sweep_github.scenario()
    planned = fault(sweep_github.github.faults.at(k))
    end = scenario.run(scenario.labelled())
    assert planned.hits == 1
    assert (end.exit_code, end.conclusion, end.reporter.annotations) == (0, "published", []), end.reporter.said
    assert scenario.seen() == reference
    assert sum(scenario.clock.slept) <= 60


@pytest.mark.parametrize("fault", BEFORE)
@pytest.mark.parametrize("k", range(1, len(CALLS) + 1))
def test_a_request_that_github_did_not_carry_out_is_made_again(
    sweep_github: SweepGitHub, reference: dict[str, Any], k: int, fault: str
) -> None:
    _goes_on(sweep_github, reference, k, BEFORE[fault])


@pytest.mark.parametrize("fault", AFTER)
@pytest.mark.parametrize("k", WRITES)
def test_a_write_whose_answer_is_lost_is_not_done_twice(
    sweep_github: SweepGitHub, reference: dict[str, Any], k: int, fault: str
) -> None:
    _goes_on(sweep_github, reference, k, AFTER[fault])
