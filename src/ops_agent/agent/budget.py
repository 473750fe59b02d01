"""What a conversation may use: turns, money, tokens, wall time. Asked before every call of the llm, never afterwards."""

from __future__ import annotations

from ops_agent.domain.briefing import Limits
from ops_agent.domain.conversation import Usage
from ops_agent.ports import Clock

CLEAN_UP_SECONDS = 180
"""The run's last three minutes belong to the clean-up: comment, claim, outputs (N11)."""
SOFT_SHARE = 0.8


class Budget:
    """Counts one conversation, repair rounds included. Time runs from its construction."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._start = clock.monotonic()
        self._seconds = max(60, limits.timeout_seconds - CLEAN_UP_SECONDS)
        self._dearest = 0.0
        self.usage = Usage()
        self.turns = 0

    def count(self, usage: Usage) -> None:
        """One answer of the llm was paid for."""
        self.turns += 1
        self.usage = self.usage + usage
        self._dearest = max(usage.cost_usd, self._dearest * 0.5)

    def exhausted(self) -> str | None:
        """Which limit does not allow another call, as half a sentence; None when one more fits.

        Money is kept for the next call: it is expected to cost about as much as the last ones.
        """
        limits, usage = self._limits, self.usage
        if self.turns >= limits.max_turns:
            return f"all {limits.max_turns} turns are used (`max_turns`)"
        if usage.cost_usd >= limits.max_cost_usd or (self.turns and usage.cost_usd + self._dearest > limits.max_cost_usd):
            return f"${usage.cost_usd:.2f} of ${limits.max_cost_usd:.2f} are spent (`max_cost_usd`)"
        if self._tokens() >= limits.max_total_tokens:
            return f"{self._tokens():,} tokens are used"
        if self._elapsed() >= self._seconds:
            return f"{self._elapsed() / 60:.0f} of {limits.timeout_seconds / 60:.0f} minutes are over (`timeout_minutes`)"
        return None

    def is_low(self) -> bool:
        """True from 80 % of any limit on."""
        limits = self._limits
        shares = (
            self.turns / limits.max_turns if limits.max_turns else 1.0,
            self.usage.cost_usd / limits.max_cost_usd if limits.max_cost_usd else 1.0,
            self._tokens() / limits.max_total_tokens if limits.max_total_tokens else 1.0,
            self._elapsed() / self._seconds,
        )
        return max(shares) >= SOFT_SHARE

    def turns_left(self) -> int:
        return max(0, self._limits.max_turns - self.turns)

    def _tokens(self) -> int:
        usage = self.usage
        return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._start
