"""Retries: which requests are repeated, and how long the client waits, which is never longer than the run."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.llm.llm_answers import KEY, READ, answers, ask, llm_at
from doubles.clock import FakeClock
from ops_agent.adapters.llm import client
from ops_agent.adapters.llm.anthropic_llm import MAX_WAIT_SECONDS, AnthropicLlm, wait_before_retry
from ops_agent.adapters.llm.stream import BrokenStream
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import LlmReply, StopReason, Usage
from ops_agent.model.errors import LlmError
from ops_agent_demo.llm.script import Answer


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    clock = FakeClock()
    with answers(Answer(fault="rate_limit", headers={"retry-after": "7"}), READ) as server:
        assert ask(llm_at(server, clock)).tool_calls
    assert 7 <= clock.slept[0] <= 8
    assert len(clock.slept) == 1


@pytest.mark.parametrize("wait", ["4000000000", "1e999", "601"])
def test_a_wait_longer_than_the_budget_ends_the_run_at_once(wait: str) -> None:
    """The SDK itself would wait 4 billion seconds."""
    clock = FakeClock()
    with (
        answers(Answer(fault="rate_limit", headers={"retry-after": wait}), READ) as server,
        pytest.raises(LlmError, match="asks to wait"),
    ):
        ask(llm_at(server, clock))
    assert clock.slept == []


@pytest.mark.parametrize("wait", ["soon", "-3", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_a_wait_that_makes_no_sense_is_ignored(wait: str) -> None:
    clock = FakeClock()
    with answers(Answer(fault="rate_limit", headers={"retry-after": wait}), READ) as server:
        assert ask(llm_at(server, clock)).tool_calls
    assert 0 <= clock.slept[0] <= 2


def test_an_overloaded_api_is_asked_again() -> None:
    clock = FakeClock()
    with answers(*[Answer(fault="overloaded")] * 3, READ) as server:
        assert ask(llm_at(server, clock)).tool_calls
    assert clock.slept == [2.0, 4.0, 8.0]
    assert server.headers[0]["x-stainless-retry-count"] == server.headers[3]["x-stainless-retry-count"] == "0"


def test_a_silent_stream_is_cut_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "STALL_SECONDS", 0.3)
    with answers(Answer(fault="stall", text="x" * 200), READ) as server:
        assert ask(llm_at(server)).tool_calls
    assert len(server.requests) == 2


def test_a_model_that_thinks_for_ten_minutes_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes are 0.6 s here: in silence until the first byte, then with pings alone for twice as long."""
    assert client.STALL_SECONDS > 600
    monkeypatch.setattr(client, "STALL_SECONDS", client.STALL_SECONDS / 1000)

    def thinking(body: bytes) -> Iterable[bytes]:
        time.sleep(0.6)
        for _ in range(12):
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
            time.sleep(0.1)
        yield body

    with answers(READ, rechunk=thinking) as server:
        assert ask(llm_at(server)).tool_calls
    assert len(server.requests) == 1


def test_a_silent_connection_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is gone is noticed by TCP, not by a short limit on silence."""
    set_options: list[tuple[int, int, Any]] = []
    original = socket.socket.setsockopt

    def watch(self: socket.socket, level: int, option: int, value: Any, *more: Any) -> None:
        set_options.append((level, option, value))
        original(self, level, option, value, *more)

    monkeypatch.setattr(socket.socket, "setsockopt", watch)
    with answers(READ) as server:
        ask(llm_at(server))
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in set_options


def test_a_stream_of_pings_ends_at_the_deadline() -> None:
    """Bytes keep coming, so the read timeout alone would never end it."""
    clock = FakeClock()

    def pings(_: bytes) -> Iterable[bytes]:
        while True:
            clock.time += 30
            yield b'event: ping\ndata: {"type": "ping"}\n\n'

    with answers(Answer(text="x"), rechunk=pings) as server, pytest.raises(LlmError, match="too long"):
        ask(llm_at(server, clock, working_seconds=1020))


def test_no_wait_outlives_the_run() -> None:
    clock = FakeClock()
    with answers(*[Answer(fault="overloaded")] * 20) as server, pytest.raises(LlmError, match="Overloaded"):
        ask(llm_at(server, clock, working_seconds=60))
    assert sum(clock.slept) <= 60


@given(
    st.lists(st.sampled_from(["overloaded", "rate_limit", "cut"]) | st.floats(0, 1000), max_size=30),
    st.integers(0, 2**32),
)
def test_a_storm_of_failures_waits_within_the_budget_with_jitter_in_range(storm: list[Any], seed: int) -> None:
    clock = FakeClock()
    llm = AnthropicLlm(
        LlmSettings(anthropic_api_key=KEY),
        clock,
        region="sa-east-1",
        working_seconds=2_700,
        uniform=random.Random(seed).uniform,
    )
    pending = iter(storm)

    def fail(_: Any) -> LlmReply:
        failure = next(pending, None)
        if failure is None:
            return LlmReply(text="", tool_calls=(), stop_reason=StopReason.END_TURN, usage=Usage(), llm_id="x")
        if isinstance(failure, float):
            response = httpx2.Response(
                429,
                json={"error": {"type": "rate_limit_error"}},
                headers={"retry-after": str(failure)},
                request=httpx2.Request("POST", "http://x"),
            )
            raise anthropic.RateLimitError("slow", response=response, body=response.json())
        raise BrokenStream("broke", Usage(input_tokens=1))

    llm._ask = fail  # type: ignore[method-assign]
    with suppress(LlmError):
        ask(llm)
    assert sum(clock.slept) <= MAX_WAIT_SECONDS
    assert len(clock.slept) <= 7
    for attempt, wait in enumerate(clock.slept):
        asked = storm[attempt] if isinstance(storm[attempt], float) else None
        assert (asked <= wait <= asked + 1) if asked is not None else (0 <= wait <= min(60, 2 * 2**attempt))


def test_jitter_is_full() -> None:
    rng = random.Random(1)
    waits = [wait_before_retry(3, None, rng.uniform) for _ in range(500)]
    assert min(waits) < 2 and max(waits) > 14 and max(waits) <= 16
