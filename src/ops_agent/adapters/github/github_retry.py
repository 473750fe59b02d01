"""When to ask GitHub again, and after how long: pure decisions, no clock and no dice of their own.

Sources: docs.github.com "Best practices for using the REST API" (honour `retry-after`; without it and with `x-ratelimit-remaining: 0` wait
until `x-ratelimit-reset`; else at least one minute for a secondary limit, then exponentially longer) and rule 36 of the security bar.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_SECONDARY_WAIT = 60.0
_LONGEST_HEADER_WAIT = 24 * 3600.0
_SECONDARY_PHRASES = ("secondary rate limit", "abuse detection", "please wait a few minutes before you try again")


class FailureKind(StrEnum):
    """What kind of failure an answer (or no answer) is. Only PERMANENT is never asked again."""

    LOST = "connection lost or timed out"
    SERVER = "server error"
    SECONDARY = "secondary rate limit"
    PRIMARY = "primary rate limit"
    PERMANENT = "permanent"

    @property
    def rejected_unprocessed(self) -> bool:
        """True when GitHub surely did nothing: even a write may be sent again."""
        return self in (FailureKind.SECONDARY, FailureKind.PRIMARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed answer. `wait` is what GitHub itself asks us to wait, in seconds, None when it does not say."""

    kind: FailureKind
    wait: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to try. Times in seconds; `attempts` counts requests for one call; the budget is for a whole run."""

    first_wait: float = 1.0
    longest_wait: float = 30.0
    attempts: int = 5
    budget: float = 300.0

    def wait(self, failure: Failure, attempt: int, budget_left: float, draw: float) -> float | None:
        """Seconds before the next request, or None to give up.

        `attempt` counts from 1, `draw` is uniform in [0, 1): full jitter, and never shorter than GitHub asked for.
        """
        if failure.kind is FailureKind.PERMANENT or attempt >= self.attempts:
            return None
        spread = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt - 1, 30))
        if failure.wait is not None:
            seconds = failure.wait + draw * min(spread, 1.0)
        elif failure.kind is FailureKind.SECONDARY:
            seconds = _SECONDARY_WAIT * 2.0 ** min(attempt - 1, 30) + draw * spread
        else:
            seconds = draw * spread
        return seconds if seconds <= budget_left else None


def retry_line(doing: str, failed: str, attempt: int, attempts: int, seconds: float) -> str:
    """One line for the log, before a wait of `seconds`: nobody should look at silence and guess."""
    return f"GitHub, {doing}: {failed}; that was try {attempt} of at most {attempts}, the next one in {seconds:.0f} s"


def classify(status: int | None, headers: Mapping[str, str], message: str, now: float) -> Failure:
    """What a failed answer means. `status` None: no answer came. `headers` have lower-case names; `now` in epoch seconds."""
    if status is None:
        return Failure(kind=FailureKind.LOST)
    told = _seconds(headers.get("retry-after"))
    words = message.lower()
    if status in (403, 429):
        exhausted = headers.get("x-ratelimit-remaining", "").strip() == "0"
        if words.startswith("api rate limit exceeded") or (exhausted and not any(p in words for p in _SECONDARY_PHRASES)):
            return Failure(kind=FailureKind.PRIMARY, wait=told if told is not None else _until(headers.get("x-ratelimit-reset"), now))
        if status == 429 or told is not None or any(phrase in words for phrase in _SECONDARY_PHRASES):
            wait = told if told is not None else (_until(headers.get("x-ratelimit-reset"), now) if exhausted else None)
            return Failure(kind=FailureKind.SECONDARY, wait=wait)
        return Failure(kind=FailureKind.PERMANENT)
    if status >= 500 or status == 408:
        return Failure(kind=FailureKind.SERVER, wait=told)
    return Failure(kind=FailureKind.PERMANENT)


def _seconds(text: str | None) -> float | None:
    """`Retry-After` in seconds; GitHub never sends the date form, so anything else counts as not sent."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, _LONGEST_HEADER_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def _until(reset: str | None, now: float) -> float:
    """Seconds until `x-ratelimit-reset` (epoch seconds); one more, because the second of the reset is not told. An hour when unreadable."""
    at = _seconds_since_epoch(reset)
    return 3600.0 if at is None else max(0.0, min(at - now, _LONGEST_HEADER_WAIT)) + 1.0


def _seconds_since_epoch(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
