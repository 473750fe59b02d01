"""Requests of one conversation: each holds the one before byte for byte, and all of it comes from the cache."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ops_agent.adapters.llm.anthropic_llm import request_body
from ops_agent.agent.toolbox import specs
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import LlmReply, PeopleTurn, StopReason, ToolResult, Turn, Usage
from ops_agent_demo.llm.wire import CacheOfPrefixes

SETTINGS = LlmSettings(anthropic_api_key="sk-ant-api03-a-key-of-the-test")
SYSTEM = "You are a test. " * 600
_sizes = st.lists(st.integers(0, 6_000), max_size=20)
"""Sizes of the results of one turn's calls."""


def conversation(turns: list[list[int]]) -> list[dict[str, Any]]:
    """The body of each request, when the llm calls a tool for every size and gets a result of it."""
    said: tuple[Turn, ...] = (PeopleTurn(text="Do the work item now. " * 50),)
    bodies = []
    for number, sizes in enumerate([*turns, []]):
        bodies.append(request_body(SETTINGS, system=SYSTEM, tools=specs(), turns=said, max_tokens=1_000))
        ids = [f"toolu_{number}_{n}" for n in range(len(sizes))]
        blocks = [{"type": "tool_use", "id": name, "name": "read", "input": {"paths": [name]}} for name in ids]
        reply = LlmReply(
            text="",
            tool_calls=(),
            stop_reason=StopReason.TOOL_USE,
            usage=Usage(),
            llm_id="m",
            wire_blocks=({"type": "text", "text": f"Turn {number}."}, *blocks),
        )
        results = tuple(ToolResult(call_id=name, text="x" * size) for name, size in zip(ids, sizes, strict=True))
        said = (*said, reply, PeopleTurn(text="" if results else "Go on.", tool_results=results))
    return bodies


def blocks_of(body: dict[str, Any]) -> list[str]:
    parts = [*body["tools"], *body["system"], *(b for message in body["messages"] for b in message["content"])]
    return [json.dumps({k: v for k, v in part.items() if k != "cache_control"}) for part in parts]


@given(st.lists(_sizes, max_size=12))
def test_every_request_begins_with_the_one_before(turns: list[list[int]]) -> None:
    bodies = [blocks_of(body) for body in conversation(turns)]
    assert all(after[: len(before)] == before for before, after in itertools.pairwise(bodies))


@given(st.lists(_sizes, max_size=12))
def test_everything_that_was_sent_before_is_read_from_the_cache(turns: list[list[int]]) -> None:
    """However many calls a turn has, and with the four cache points that the API allows."""
    cache, before = CacheOfPrefixes(), 0
    for body in conversation(turns):
        points = [part for part in _parts(body) if "cache_control" in part]
        assert len(points) <= CacheOfPrefixes.MOST_POINTS
        usage = cache.usage(body, 0)
        assert usage["cache_read_input_tokens"] >= before - 1, "one token is lost to rounding"
        before = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"] + usage["input_tokens"]


def _parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [*body["tools"], *body["system"], *(b for message in body["messages"] for b in message["content"])]


def test_nine_tenths_of_the_input_come_from_the_cache_from_the_third_turn_on() -> None:
    """Fifteen turns that read and write two thousand characters each, as played conversations do."""
    cache = CacheOfPrefixes()
    late = [cache.usage(body, 0) for body in conversation([[1_000, 1_000]] * 15)][2:]
    read = sum(usage["cache_read_input_tokens"] for usage in late)
    sent = sum(usage["cache_creation_input_tokens"] + usage["input_tokens"] for usage in late)
    assert read / (read + sent) >= 0.9
