"""Any request of a whole run meets a lost connection or a broken server once: the same run goes on to the same end.

M01, M03 and M04 of the security bar. Whether the answer is lost before or after the deed differs for writes only; reads
are lost before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fake_github.faults import Fault
from sweep.sweep_world import Theatre
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
def reference(theatre: Theatre) -> dict[str, Any]:
    play = theatre.play()
    assert play.run(play.labelled()).conclusion == "published"
    return play.seen()


def _goes_on(theatre: Theatre, reference: dict[str, Any], k: int, fault: Callable[[Fault], Fault]) -> None:
    play = theatre.play()
    planned = fault(theatre.github.faults.at(k))
    end = play.run(play.labelled())
    assert planned.hits == 1
    assert (end.exit_code, end.conclusion, end.reporter.annotations) == (0, "published", []), end.reporter.said
    assert play.seen() == reference
    assert sum(play.clock.slept) <= 60


@pytest.mark.parametrize("fault", BEFORE)
@pytest.mark.parametrize("k", range(1, len(CALLS) + 1))
def test_a_request_that_github_did_not_carry_out_is_made_again(
    theatre: Theatre, reference: dict[str, Any], k: int, fault: str
) -> None:
    _goes_on(theatre, reference, k, BEFORE[fault])


@pytest.mark.parametrize("fault", AFTER)
@pytest.mark.parametrize("k", WRITES)
def test_a_write_whose_answer_is_lost_is_not_done_twice(
    theatre: Theatre, reference: dict[str, Any], k: int, fault: str
) -> None:
    _goes_on(theatre, reference, k, AFTER[fault])
