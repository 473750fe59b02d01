"""The adapter, on the real SDK against a local server that speaks the real wire format."""

from __future__ import annotations

import socket
import traceback
from typing import Any

import anthropic
import httpx2
import pytest

from adapters.llm.llm_answers import GO, KEY, READ, answers, ask, llm_at
from doubles.clock import FakeClock
from ops_agent.adapters.llm.failures import Kind, understand
from ops_agent.model.conversation import LlmReply, PeopleTurn, StopReason, ToolResult, Usage
from ops_agent.model.errors import LlmError
from ops_agent_demo.llm.script import Answer


def test_a_conversation_keeps_calls_thinking_and_cache_points() -> None:
    """Cache points are explicit, and the second turn reads the cache."""
    with answers(Answer(thinking="hm", text="I read", calls=READ.calls), Answer(text="done")) as server:
        llm = llm_at(server)
        first = ask(llm)
        assert first.stop_reason is StopReason.TOOL_USE
        assert first.text == "I read"
        assert first.tool_calls[0].arguments == {"paths": ["infra/main.tf"]}
        results = PeopleTurn(
            tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="content", is_error=True),), text="and"
        )
        second = ask(llm, (*GO, first, results))
    assert second.text == "done"
    assert second.usage.cache_read_tokens > 0
    assert first.usage.cache_write_tokens > 0
    assert server.problems == []
    sent = server.requests[1]
    assert sent["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "signature-1"}
    assert sent["messages"][2]["content"][0]["is_error"] is True
    marks = [
        b
        for b in (*sent["tools"], *sent["system"], *(c for m in sent["messages"] for c in m["content"]))
        if b.get("cache_control")
    ]
    assert [m.get("type", "tool") for m in marks] == ["tool", "text", "text", "text"]
    assert sent["thinking"] == {"type": "adaptive"} and sent["output_config"] == {"effort": "high"}
    assert all(t["strict"] for t in sent["tools"])


def test_older_llms_and_gateways_are_sent_no_thinking_that_they_do_not_know() -> None:
    with answers(Answer(text="x"), Answer(text="x")) as server:
        ask(llm_at(server, model="claude-haiku-4-5"))
        ask(llm_at(server, effort=""))
    assert all("thinking" not in r and "output_config" not in r for r in server.requests)


LONG = {"input_tokens": 130_000, "output_tokens": 1}


def test_the_api_itself_clears_old_results_of_a_long_conversation() -> None:
    with answers(Answer(text="x", usage=LONG), Answer(text="y"), Answer(text="z")) as server:
        llm = llm_at(server)
        assert [ask(llm).text for _ in range(3)] == ["x", "y", "z"]
    first, second, third = server.requests
    assert server.problems == [] and "context_management" not in first
    assert second["context_management"]["edits"][0]["type"] == "clear_tool_uses_20250919"
    assert "context_management" not in third, "the conversation is short again"


def test_a_gateway_that_does_not_know_context_management_is_asked_without_it() -> None:
    refused = Answer(fault="unknown_field")
    said: list[str] = []
    with answers(Answer(text="x", usage=LONG), refused, Answer(text="y", usage=LONG), Answer(text="z")) as server:
        llm = llm_at(server)
        llm._say = said.append
        assert [ask(llm).text for _ in range(3)] == ["x", "y", "z"]
    assert ["context_management" in body for body in server.requests] == [False, True, False, False]
    assert "asking again without context management" in said[0]


@pytest.mark.parametrize(
    ("faults", "asked"),
    [(["overloaded"] * 3, 3), (["no_model"], 1), (["sse_overloaded"] * 3, 3)],
    ids=["overloaded", "not available", "overloaded in the stream"],
)
def test_the_next_model_is_asked_when_one_is_overloaded_or_not_available(faults: list[str], asked: int) -> None:
    said: list[str] = []
    with answers(*(Answer(fault=fault, text="x" * 99) for fault in faults), READ, Answer(text="more")) as server:
        llm = llm_at(server, model="m-1", model_fallbacks=("m-2", "m-3"))
        llm._say = said.append
        first = ask(llm)
        assert first.tool_calls and ask(llm).text == "more"
    accepted = [body["model"] for body in server.requests]
    assert accepted == [*["m-1"] * asked, "m-2", "m-2"], "the run stays with the one that answers"
    assert "m-2 is asked instead of m-1" in said[-1]


@pytest.mark.parametrize("fault", ["unauthorised", "spend_limit", "rate_limit", "server_error"])
def test_no_other_model_is_asked_when_another_would_not_help(fault: str) -> None:
    with answers(*[Answer(fault=fault)] * 8, READ) as server, pytest.raises(LlmError):
        ask(llm_at(server, model="m-1", model_fallbacks=("m-2",)))
    assert {body["model"] for body in server.requests} == {"m-1"}


def test_the_next_model_is_not_sent_what_the_one_before_thought() -> None:
    with answers(
        Answer(thinking="hm", text="a", calls=READ.calls), Answer(fault="no_model"), Answer(text="b")
    ) as server:
        llm = llm_at(server, model="m-1", model_fallbacks=("m-2",))
        first = ask(llm)
        result = PeopleTurn(tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="content"),))
        assert ask(llm, (*GO, first, result)).text == "b"
    kinds = [[block["type"] for block in body["messages"][1]["content"]] for body in server.requests[1:]]
    assert kinds == [["thinking", "text", "tool_use"], ["text", "tool_use"]]


def test_a_model_may_be_asked_not_to_think() -> None:
    with answers(Answer(text="x")) as server:
        ask(llm_at(server, thinking="off"))
    assert server.requests[0]["thinking"] == {"type": "disabled"}


@pytest.mark.parametrize("fault", ["server_error", "reset", "sse_overloaded", "cut", "cut_in_tool"])
def test_a_turn_that_broke_is_asked_again_whole(fault: str) -> None:
    """Nothing of the broken answer is seen, but what it cost is counted."""
    broken = Answer(
        fault=fault, text="half " * 50, calls=(("edit", {"edits": [{"path": "infra/evil.tf", "new": "x" * 500}]}),)
    )
    with answers(broken, READ) as server:
        got = ask(llm_at(server))
    assert [c.name for c in got.tool_calls] == ["read"]
    assert "half" not in got.text
    streamed = fault in ("sse_overloaded", "cut", "cut_in_tool")
    assert (got.usage.cache_write_tokens > 0 and got.usage.cache_read_tokens > 0) == streamed, (
        "the first wrote the cache, the second read it"
    )
    assert server.requests[0] == server.requests[-1]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 409])
def test_every_passing_status_is_transient(status: int) -> None:
    assert _failure(status, {"error": {"type": "api_error", "message": "later"}}).kind is Kind.TRANSIENT


def test_no_connection_and_no_name_are_asked_again_and_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        clock = FakeClock()
        with pytest.raises(LlmError, match="after 8 attempts"):
            ask(llm_at(f"http://127.0.0.1:{taken.getsockname()[1]}", clock))
    assert len(clock.slept) == 7
    lookup = httpx2.ConnectError("[Errno -2] Name or service not known")
    assert understand(lookup).kind is Kind.TRANSIENT  # type: ignore[union-attr]


def _failure(status: int, body: dict[str, Any]) -> Any:
    response = httpx2.Response(status, json=body, request=httpx2.Request("POST", "http://127.0.0.1/v1/messages"))
    return understand(anthropic.Anthropic(api_key="x")._make_status_error_from_response(response))


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_repeating_cannot_cure_is_not_repeated(status: int) -> None:
    failure = _failure(status, {"type": "error", "error": {"type": "some_error", "message": "exactly this"}})
    assert failure.kind in (Kind.PERMANENT, Kind.IDENTITY)
    assert f"{status} some_error: exactly this" in failure.sentence


def test_a_refused_key_ends_the_run_with_the_reason_and_without_the_key() -> None:
    clock = FakeClock()
    with answers(Answer(fault="unauthorised"), READ) as server:
        with pytest.raises(LlmError, match="401 authentication_error: invalid x-api-key") as caught:
            ask(llm_at(server, clock))
        assert len(server.requests) == 1
    assert clock.slept == []
    assert "anthropic_api_key" in caught.value.hint
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_an_api_that_echoes_the_key_does_not_show_it() -> None:
    with answers(Answer(text="x")) as server, pytest.raises(LlmError) as caught:
        ask(llm_at(server, model="m", effort="x", base_url=f"{server.url}/{KEY}"))
    assert KEY not in str(caught.value)


def test_a_reached_spend_limit_is_not_repeated() -> None:
    clock = FakeClock()
    with answers(Answer(fault="spend_limit"), READ) as server, pytest.raises(LlmError, match="monthly limit") as caught:
        ask(llm_at(server, clock))
    assert clock.slept == [] and len(server.requests) == 1
    assert "spend limit" in caught.value.hint


def test_a_prompt_that_is_too_long_is_an_answer_not_an_error() -> None:
    with answers(Answer(fault="too_long")) as server:
        assert ask(llm_at(server)).stop_reason is StopReason.CONTEXT_EXCEEDED
    with answers(Answer(text="x", stop_reason="model_context_window_exceeded")) as server:
        assert ask(llm_at(server)).stop_reason is StopReason.CONTEXT_EXCEEDED


def test_two_calls_with_one_id_can_be_answered() -> None:
    """The API refuses a message that contains an id twice."""
    block = {"type": "tool_use", "id": "same", "name": "check", "input": {}}
    twice = LlmReply(
        text="", tool_calls=(), stop_reason=StopReason.TOOL_USE, usage=Usage(), llm_id="x", wire_blocks=(block, block)
    )
    results = PeopleTurn(tool_results=(ToolResult(call_id="same", text="1"), ToolResult(call_id="same", text="2")))
    with answers(Answer(text="ok")) as server:
        assert ask(llm_at(server), (*GO, twice, results)).text == "ok"
    assert server.problems == []
