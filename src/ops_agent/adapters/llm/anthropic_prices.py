"""What a request costs: the API's price list, as published on 2026-10-24 at platform.claude.com/docs/en/about-claude/pricing.

Prices move. A family that is not listed is counted at the dearest listed rates, so that a budget errs on the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass

from ops_agent.domain.conversation import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens. A cache write is counted at the five-minute rate, the only one that we ask for."""

    input: float
    output: float
    cache_write: float
    cache_read: float


_FAMILIES: tuple[tuple[str, Price], ...] = (
    ("claude-fable-5-1", Price(10, 50, 12.5, 0.25)),
    ("claude-mythos-5-1", Price(10, 50, 12.5, 0.25)),
    ("claude-fable-5", Price(10, 50, 12.5, 1)),
    ("claude-mythos-5", Price(10, 50, 12.5, 1)),
    ("claude-opus-5-5", Price(4, 20, 5, 0.20)),
    ("claude-opus-5", Price(5, 25, 6.25, 0.5)),
    ("claude-opus-4-1", Price(15, 75, 18.75, 1.5)),
    ("claude-opus-4", Price(5, 25, 6.25, 0.5)),
    ("claude-sonnet-5-5", Price(2, 10, 2.5, 0.10)),
    ("claude-sonnet-5", Price(2, 10, 2.5, 0.20)),
    ("claude-sonnet-4", Price(3, 15, 3.75, 0.3)),
    ("claude-haiku-5-5", Price(0.5, 2.5, 0.625, 0.05)),
    ("claude-haiku-4-5", Price(1, 5, 1.25, 0.1)),
)
"""First match wins, so longer prefixes stand before shorter ones. Haiku 5.5 is listed at its dearer band (prompts over 100,000 tokens)."""

UNKNOWN = Price(15, 75, 18.75, 1.5)


def price_of(llm_id: str) -> tuple[Price, bool]:
    """The price of an llm id, and whether it is listed. Bedrock ids and ARNs (`eu.anthropic.claude-opus-5-5-v1:0`) are matched inside."""
    start = llm_id.find("claude-")
    family = llm_id[start:] if start >= 0 else ""
    for prefix, price in _FAMILIES:
        if family.startswith(prefix) and not family.removeprefix(prefix)[:1].isalnum():
            return price, True
    return UNKNOWN, False


def priced(llm_id: str, *, input_tokens: int, output_tokens: int, cache_read_tokens: int, cache_write_tokens: int) -> Usage:
    """The usage with its cost in US dollars. Counts must not be negative."""
    price, _ = price_of(llm_id)
    cost = input_tokens * price.input + output_tokens * price.output
    cost += cache_read_tokens * price.cache_read + cache_write_tokens * price.cache_write
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        cost_usd=cost / 1_000_000,
    )
