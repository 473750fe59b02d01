"""Rate limits: the primary one, with GitHub's headers. Secondary limits are faults (`faults.py`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from fake_github.accounts import Token, TokenKind

PER_HOUR = {TokenKind.ACTIONS: 1000, TokenKind.APP: 5000, TokenKind.CLASSIC: 5000, TokenKind.FINE_GRAINED: 5000}
ANONYMOUS = 60


class RateLimit:
    """Requests left per token in the current hour. `exhaust` leaves nothing until the reset."""

    def __init__(self, lock: threading.RLock, clock: Callable[[], float], tokens: Mapping[str, Token]) -> None:
        self._lock = lock
        self._clock = clock
        self._tokens = tokens
        self._used: dict[str, int] = {}
        self._reset: dict[str, int] = {}
        self.limit: int | None = None

    def _limit(self, token: Token | None) -> int:
        return self.limit or (PER_HOUR[token.kind] if token else ANONYMOUS)

    def exhaust(self, secret: str, *, reset_in: int = 2400) -> None:
        """From now on, and for `reset_in` seconds, the token gets 403 (REST) or an error RATE_LIMITED (GraphQL)."""
        with self._lock:
            self._used[secret] = self._limit(self._tokens.get(secret))
            self._reset[secret] = int(self._clock()) + reset_in

    def spend(self, token: Token | None, resource: str) -> tuple[bool, dict[str, str]]:
        """Count one request. Returns whether it is within the limit, and the headers of its answer."""
        with self._lock:
            key, now, limit = token.secret if token else "", int(self._clock()), self._limit(token)
            if now >= self._reset.get(key, 0):
                self._reset[key], self._used[key] = now + 3600, 0
            allowed = self._used[key] < limit
            self._used[key] += allowed
            used = self._used[key]
            headers = {
                "Limit": limit,
                "Remaining": limit - used,
                "Reset": self._reset[key],
                "Used": used,
                "Resource": resource,
            }
            return allowed, {f"X-RateLimit-{name}": str(number) for name, number in headers.items()}


def exceeded_message(token: Token | None) -> str:
    if token is None:
        return "API rate limit exceeded for 127.0.0.1."
    if token.is_integration:
        return f"API rate limit exceeded for installation ID {token.installation_id}."
    return f"API rate limit exceeded for user ID {token.account.id}."
