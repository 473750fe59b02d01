"""What GitHub refused: whether to ask again and when, and our error for it, with the permission or rule to blame.

Follows GitHub's "Best practices for using the REST API": honour `retry-after`; without it and with
`x-ratelimit-remaining: 0` wait until `x-ratelimit-reset`; else at least one minute for a secondary limit, then
exponentially longer. Pure decisions: the caller passes the time and the random draw. No header, URL or token
gets into a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ops_agent.model.errors import Conflict, GitHubError, NeedsWorkflowsPermission, NotFound, NotPermitted, RateLimited

CREATE_PULL_REQUESTS_SETTING = "Allow GitHub Actions to create and approve pull requests"
HEAD_UNSEEN = "pullrequest head invalid"
"""GitHub's words, in lower case, for a branch whose new commit it does not see yet."""
_SECONDARY_WAIT = 60.0
_MAX_HEADER_WAIT = 24 * 3600.0
_MAX_WORDS = 600
_SECONDARY_PHRASES = ("secondary rate limit", "abuse detection", "please wait a few minutes before you try again")


class FailureKind(StrEnum):
    """What kind of failure an answer (or no answer) is. Only PERMANENT is never asked again."""

    LOST = "connection lost or timed out"
    SERVER = "server error"
    SECONDARY = "secondary rate limit"
    PRIMARY = "primary rate limit"
    PERMANENT = "permanent"

    @property
    def is_rate_limit(self) -> bool:
        """GitHub did nothing then: even a write may be sent again."""
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
        factor = 2.0 ** min(attempt - 1, 30)
        spread = min(self.longest_wait, self.first_wait * factor)
        if failure.wait is not None:
            seconds = failure.wait + draw * min(spread, 1.0)
        elif failure.kind is FailureKind.SECONDARY:
            seconds = _SECONDARY_WAIT * factor + draw * spread
        else:
            seconds = draw * spread
        return seconds if seconds <= budget_left else None


def classify(status: int, headers: Mapping[str, str], message: str, now: float) -> Failure:
    """What a failed answer means. `headers` have lower-case names; `now` in epoch seconds."""
    asked = _asked(headers)
    if status in (403, 429):
        words = message.lower()
        exhausted = headers.get("x-ratelimit-remaining", "").strip() == "0"
        secondary = any(phrase in words for phrase in _SECONDARY_PHRASES)
        if words.startswith("api rate limit exceeded") or (exhausted and not secondary):
            return _primary(headers, now)
        if status == 429 or asked is not None or secondary:
            wait = _until_reset(headers, now) if asked is None and exhausted else asked
            return Failure(kind=FailureKind.SECONDARY, wait=wait)
    elif status >= 500 or status == 408:
        return Failure(kind=FailureKind.SERVER, wait=asked)
    return Failure(kind=FailureKind.PERMANENT)


def _primary(headers: Mapping[str, str], now: float) -> Failure:
    asked = _asked(headers)
    return Failure(kind=FailureKind.PRIMARY, wait=_until_reset(headers, now) if asked is None else asked)


def _asked(headers: Mapping[str, str]) -> float | None:
    seconds = _number(headers.get("retry-after"))  # GitHub never sends the date form
    return None if seconds is None or seconds < 0 else min(seconds, _MAX_HEADER_WAIT)


def _until_reset(headers: Mapping[str, str], now: float) -> float:
    reset = _number(headers.get("x-ratelimit-reset"))
    # One second more: the reset may come late in its second.
    return 3600.0 if reset is None else max(0.0, min(reset - now, _MAX_HEADER_WAIT)) + 1.0


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


class RequestFailed(Exception):
    """GitHub did not do what was asked, or it is unknown whether it did (`status` None).

    Its text names the failure for the log, `words` are GitHub's own, `types` those of GraphQL errors.
    """

    def __init__(
        self,
        failure: Failure,
        seen: str,
        *,
        status: int | None = None,
        words: str = "",
        types: frozenset[str] = frozenset(),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(seen)
        self.failure, self.status, self.words = failure, status, words
        self.types, self.headers = types, headers
        self.attempts = 1


def lost(seen: str, *, passes: bool = True) -> RequestFailed:
    """No answer; `passes` is false when asking again cannot help."""
    return RequestFailed(Failure(kind=FailureKind.LOST if passes else FailureKind.PERMANENT), seen)


def refusal(status: int, headers: Mapping[str, str], payload: Any, *, now: float, secret: str) -> RequestFailed:
    """What an answer from `status` 300 on means, or one with errors of GraphQL (as 400). `secret` never gets out."""
    body = payload if isinstance(payload, dict) else {}
    errors = body["errors"] if isinstance(body.get("errors"), list) else []
    words = _words(body.get("message"), errors, secret)
    types = frozenset(str(error["type"]).upper() for error in errors if isinstance(error, dict) and error.get("type"))
    if types & {"RATE_LIMITED", "RATE_LIMIT"}:
        failure = _primary(headers, now)
    elif "something went wrong while executing your query" in words.lower():
        failure = Failure(kind=FailureKind.SERVER)
    else:
        failure = classify(status, headers, words, now)
    seen = f"answer {status}, {failure.kind.value}"
    return RequestFailed(failure, seen, status=status, words=words, types=types, headers=headers)


def _words(message: Any, errors: list[Any], secret: str) -> str:
    """GitHub's own words in an error body, REST or GraphQL, flattened to one short line."""
    words = [str(message or "")]
    for error in errors:
        if isinstance(error, dict):
            parts = (str(error[key]) for key in ("resource", "field", "code") if error.get(key))
            words.append(str(error.get("message") or " ".join(parts)))
        else:
            words.append(str(error))
    flat = " ".join(": ".join(filter(None, words)).split())
    return (flat.replace(secret, "***") if secret else flat)[:_MAX_WORDS]


_BY_WORDS: tuple[tuple[str, type[GitHubError], str, str | None], ...] = (
    (r"without `?workflows?`? (permission|scope)", NeedsWorkflowsPermission, "GitHub refused", None),
    (
        r"not permitted to create.*pull request",
        NotPermitted,
        "GitHub refused",
        f'Switch on "{CREATE_PULL_REQUESTS_SETTING}" (repository settings, Actions, General), or use an App\'s token.',
    ),
    (
        r"rule violations|push declined|protected branch|cannot create ref due to",
        NotPermitted,
        "A ruleset or branch protection refused",
        "Let the token's App or user bypass the rule named above for our branches, or choose another `branch_prefix`.",
    ),
    (r"saml", NotPermitted, "GitHub refused", "Authorise the token for the organisation's single sign-on."),
    (r"was archived", NotPermitted, "GitHub refused", "The repository is archived; nobody can write to it."),
    (r"expected branch to point to", Conflict, "The branch moved while", None),
    (HEAD_UNSEEN, Conflict, "GitHub did not see the branch's commit", "Start the run again in a minute."),
)
"""Refusals that differ only in GitHub's words: pattern, error, how it begins, and what to do."""
_GONE = {404: "not found, or the token may not see it", 410: "deleted", 451: "blocked for legal reasons"}


def error_for(refused: RequestFailed, doing: str, now: float) -> GitHubError:
    """Our error for a failed call. `doing` is a phrase such as `reading the branch x of o/r`."""
    status, headers, types = refused.status, refused.headers, refused.types
    words = refused.words.rstrip(".")
    again = f" ({refused.attempts} attempts)" if refused.attempts > 1 else ""
    if status is None:
        return GitHubError(f"GitHub could not be reached while {doing}: {refused}{again}.")
    if refused.failure.kind.is_rate_limit:
        return RateLimited(f"GitHub's rate limit is used up (while {doing}){_when(headers, now)}.")
    searched = words.lower() + (" saml" if "sso" in headers.get("x-github-sso", "").lower() else "")
    for pattern, kind, beginning, hint in _BY_WORDS:
        if re.search(pattern, searched):
            return kind(f"{beginning} {doing}: {words}.", hint=hint)
    if "STALE_DATA" in types:
        return Conflict(f"The branch moved while {doing}: {words}.")
    if "NOT_FOUND" in types:
        return NotFound(f"GitHub does not know what was asked for while {doing}: {words}.")
    if status == 401:
        return GitHubError(
            f"GitHub refused the token while {doing}: {words or 'bad credentials'}.",
            hint="It expired or was revoked (an App's token lives one hour). Start the run again; nothing was lost.",
        )
    lacking = re.search(r"resource not accessible by|must have push access|must have admin rights", searched)
    if status == 403 or lacking or types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return NotPermitted(f"GitHub refused {doing}: {words or 'forbidden'}.", hint=_permission_hint(headers))
    if 300 <= status < 400:
        return NotFound(f"What was asked for while {doing} has moved elsewhere; ops-agent does not follow it there.")
    if status in _GONE:
        return NotFound(f"GitHub answered {status} while {doing}: {_GONE[status]}.")
    if status == 409:
        return Conflict(f"GitHub refused {doing}: {words or 'conflict'}.")
    return GitHubError(f"GitHub answered {status} while {doing}: {words or 'no reason given'}{again}.")


def _when(headers: Mapping[str, str], now: float) -> str:
    reset = headers.get("x-ratelimit-reset", "")
    if reset.isdigit() and int(reset) < 1 << 40:
        at = datetime.fromtimestamp(int(reset), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"; it is open again at {at}, in {max(0, int(int(reset) - now)) // 60 + 1} minutes"
    return f"; GitHub asks to wait {headers['retry-after'][:10]} seconds" if "retry-after" in headers else ""


def _permission_hint(headers: Mapping[str, str]) -> str | None:
    """GitHub names the permission that an endpoint needs in this header, e.g. `issues=write; pull_requests=write`."""
    needed = headers.get("x-accepted-github-permissions", "")
    if not re.fullmatch(r"[a-z_=;, ]{3,200}", needed):
        return None
    named = needed.replace("=", ": ")
    return f"Give the token the permission `{named}` (docs/setup/github-app.md) and start the run again."
