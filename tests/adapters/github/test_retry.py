"""When a request to GitHub is repeated, and how long the waits are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ops_agent.adapters.github.failures import Failure, FailureKind, RetryPolicy, classify

NOW = 1_800_000_000.0
transient = st.sampled_from([k for k in FailureKind if k is not FailureKind.PERMANENT])
waits = st.one_of(st.none(), st.floats(0, 100_000))
draws = st.floats(0, 1, exclude_max=True)


@hypothesis_settings(deadline=None)
@given(kind=transient, asked=waits, budget=st.floats(0, 10_000), draw=st.lists(draws, min_size=30, max_size=30))
def test_all_waits_of_a_run_together_never_exceed_its_budget(
    kind: FailureKind, asked: float | None, budget: float, draw: list[float]
) -> None:
    """The waits add up to the budget at most, whatever GitHub answers."""
    policy, left = RetryPolicy(budget=budget), budget
    for attempt, chance in enumerate(draw, start=1):
        wait = policy.wait(Failure(kind=kind, wait=asked), attempt, left, chance)
        if wait is None:
            break
        assert wait >= 0
        left -= wait
        assert left >= 0
    else:
        pytest.fail("never gave up")


@hypothesis_settings(deadline=None)
@given(kind=transient, asked=st.floats(0, 200), draw=draws, attempt=st.integers(1, 4))
def test_a_wait_is_never_shorter_than_github_asks_for(
    kind: FailureKind, asked: float, draw: float, attempt: int
) -> None:
    """Retry-after is honoured."""
    wait = RetryPolicy().wait(Failure(kind=kind, wait=asked), attempt, 300, draw)
    assert wait is not None and asked <= wait <= asked + 1


@hypothesis_settings(deadline=None)
@given(attempt=st.integers(1, 4), draw=draws)
def test_waits_are_spread_over_the_whole_interval(attempt: int, draw: float) -> None:
    wait = RetryPolicy().wait(Failure(kind=FailureKind.SERVER), attempt, 300, draw)
    assert wait == pytest.approx(draw * min(30, 2 ** (attempt - 1)))


@hypothesis_settings(deadline=None)
@given(attempt=st.integers(1, 100), draw=draws, asked=waits)
def test_a_permanent_failure_is_never_retried(attempt: int, draw: float, asked: float | None) -> None:
    assert RetryPolicy().wait(Failure(kind=FailureKind.PERMANENT, wait=asked), attempt, 1e9, draw) is None


@hypothesis_settings(deadline=None)
@given(status=st.sampled_from([400, 401, 404, 405, 409, 410, 413, 415, 422, 451]), message=st.text(max_size=80))
def test_a_client_error_is_permanent_whatever_it_says(status: int, message: str) -> None:
    assert classify(status, {"retry-after": "1"}, message, NOW).kind is FailureKind.PERMANENT


@hypothesis_settings(deadline=None)
@given(
    status=st.integers(100, 599),
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-remaining"]), st.text(max_size=40)
    ),
    message=st.text(max_size=200),
)
def test_classification_never_fails_and_never_waits_for_ever(
    status: int, headers: dict[str, str], message: str
) -> None:
    failure = classify(status, headers, message, NOW)
    assert failure.wait is None or 0 <= failure.wait <= 24 * 3600 + 1


@pytest.mark.parametrize(
    ("status", "headers", "message", "kind", "wait"),
    [
        (502, {}, "", FailureKind.SERVER, None),
        (503, {"retry-after": "7"}, "", FailureKind.SERVER, 7),
        (403, {"retry-after": "30"}, "You have exceeded a secondary rate limit", FailureKind.SECONDARY, 30),
        (429, {}, "", FailureKind.SECONDARY, None),
        (403, {}, "You have exceeded a secondary rate limit.", FailureKind.SECONDARY, None),
        (
            403,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 40)},
            "API rate limit exceeded",
            FailureKind.PRIMARY,
            41,
        ),
        (403, {}, "Resource not accessible by integration", FailureKind.PERMANENT, None),
        (403, {}, "API rate limit exceeded", FailureKind.PRIMARY, 3600),
        (503, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", FailureKind.SERVER, None),
        (429, {"retry-after": "-5"}, "", FailureKind.SECONDARY, None),
        (429, {"retry-after": "4000000000"}, "", FailureKind.SECONDARY, 24 * 3600),
        (429, {"retry-after": "inf"}, "", FailureKind.SECONDARY, None),
    ],
)
def test_each_failed_answer_is_classified(
    status: int, headers: dict[str, str], message: str, kind: FailureKind, wait: float | None
) -> None:
    assert classify(status, headers, message, NOW) == Failure(kind=kind, wait=wait)


def test_a_secondary_limit_without_a_time_waits_at_least_a_minute() -> None:
    """As GitHub's documentation asks."""
    assert RetryPolicy().wait(Failure(kind=FailureKind.SECONDARY), 1, 300, 0.0) == 60


def test_a_primary_limit_with_a_far_reset_is_not_waited_for() -> None:
    """A reset in 40 minutes is more than the budget of a run."""
    assert RetryPolicy().wait(Failure(kind=FailureKind.PRIMARY, wait=2400), 1, 300, 0.5) is None
