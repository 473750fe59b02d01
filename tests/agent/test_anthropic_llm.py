"""The adapter, on the real SDK against a local server that speaks the real wire format (security-bar.md group L, K11, G11)."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.agent_doubles import FakeClock
from ops_agent.adapters import anthropic_client
from ops_agent.adapters.anthropic_failures import Kind, understand
from ops_agent.adapters.anthropic_llm import MAX_WAIT_SECONDS, AnthropicLlm, wait_before_retry
from ops_agent.adapters.anthropic_prices import UNKNOWN, price_of, priced
from ops_agent.adapters.anthropic_stream import Assembly, BrokenStream
from ops_agent.agent.toolbox import specs
from ops_agent.demo.llm import Answer, Exchange, LlmServer
from ops_agent.demo.llm.script import FAULTS, Script, of_answers
from ops_agent.demo.llm.wire import events, message
from ops_agent.domain.briefing import Limits
from ops_agent.domain.conversation import LlmReply, PeopleTurn, StopReason, ToolResult, Turn, Usage
from ops_agent.errors import ConfigError, LlmError, ToolchainError
from ops_agent.settings import Settings

KEY = "sk-ant-api03-canary-0123456789"
READ = Answer(text="reading", calls=(("read_file", {"path": "infra/main.tf"}),))
GO: tuple[Turn, ...] = (PeopleTurn(text="go"),)


def llm_at(server: LlmServer | str, clock: FakeClock | None = None, **fields: Any) -> AnthropicLlm:
    url = server if isinstance(server, str) else server.url
    given = {"anthropic_api_key": KEY, "base_url": url, **fields}
    return AnthropicLlm(Settings(**given), clock or FakeClock(), uniform=lambda low, high: high)


def ask(llm: AnthropicLlm, turns: tuple[Turn, ...] = GO) -> LlmReply:
    return llm.reply(system="You are a test. " * 200, tools=specs(), turns=turns, max_tokens=1000)


def answers(*given: Answer, **fields: Any) -> LlmServer:
    return LlmServer([of_answers(*given)], **fields)


def test_a_conversation_keeps_calls_thinking_and_cache_points() -> None:
    """Pain point 23: cache points stand explicitly, and the second turn reads the cache."""
    with answers(Answer(thinking="hm", text="I look", calls=READ.calls), Answer(text="done")) as server:
        llm = llm_at(server)
        first = ask(llm)
        assert first.stop_reason is StopReason.TOOL_USE
        assert first.text == "I look"
        assert first.tool_calls[0].arguments == {"path": "infra/main.tf"}
        results = PeopleTurn(tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="content", is_error=True),), text="and")
        second = ask(llm, (*GO, first, results))
    assert second.text == "done"
    assert second.usage.cache_read_tokens > 0
    assert first.usage.cache_write_tokens > 0
    assert server.problems == []
    sent = server.requests[1]
    assert sent["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "signature-1"}
    assert sent["messages"][2]["content"][0]["is_error"] is True
    marks = [b for b in (*sent["tools"], *sent["system"], *(c for m in sent["messages"] for c in m["content"])) if b.get("cache_control")]
    assert [m.get("type", "tool") for m in marks] == ["tool", "text", "text"]
    assert sent["thinking"] == {"type": "adaptive"} and sent["output_config"] == {"effort": "high"}
    assert all(t["strict"] for t in sent["tools"])


def test_older_llms_and_gateways_are_sent_no_thinking_that_they_do_not_know() -> None:
    with answers(Answer(text="x"), Answer(text="x")) as server:
        ask(llm_at(server, model="claude-haiku-4-5"))
        ask(llm_at(server, effort=""))
    assert all("thinking" not in r and "output_config" not in r for r in server.requests)


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    """L01."""
    clock = FakeClock()
    with answers(Answer(fault="rate_limit", headers={"retry-after": "7"}), READ) as server:
        assert ask(llm_at(server, clock)).tool_calls
    assert 7 <= clock.slept[0] <= 8
    assert len(clock.slept) == 1


@pytest.mark.parametrize("wait", ["4000000000", "1e999", "601"])
def test_a_wait_longer_than_the_budget_ends_the_run_at_once(wait: str) -> None:
    """L01, L15: the SDK itself would wait 4 billion seconds."""
    clock = FakeClock()
    with answers(Answer(fault="rate_limit", headers={"retry-after": wait}), READ) as server, pytest.raises(LlmError, match="asks to wait"):
        ask(llm_at(server, clock))
    assert clock.slept == []


@pytest.mark.parametrize("wait", ["soon", "-3", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_a_wait_that_makes_no_sense_is_ignored(wait: str) -> None:
    clock = FakeClock()
    with answers(Answer(fault="rate_limit", headers={"retry-after": wait}), READ) as server:
        assert ask(llm_at(server, clock)).tool_calls
    assert 0 <= clock.slept[0] <= 2


def test_an_overloaded_api_is_asked_again() -> None:
    """L02."""
    clock = FakeClock()
    with answers(*[Answer(fault="overloaded")] * 3, READ) as server:
        assert ask(llm_at(server, clock)).tool_calls
    assert clock.slept == [2.0, 4.0, 8.0]
    assert server.headers[0]["x-stainless-retry-count"] == server.headers[3]["x-stainless-retry-count"] == "0"


@pytest.mark.parametrize("fault", ["server_error", "reset", "sse_overloaded", "cut", "cut_in_tool"])
def test_a_turn_that_broke_is_asked_again_whole(fault: str) -> None:
    """L03, L04, L05: nothing of the broken answer is seen, but what it cost is counted."""
    broken = Answer(fault=fault, text="half " * 50, calls=(("write_file", {"path": "infra/evil.tf", "content": "x" * 500}),))
    with answers(broken, READ) as server:
        got = ask(llm_at(server))
    assert [c.name for c in got.tool_calls] == ["read_file"]
    assert "half" not in got.text
    streamed = fault in ("sse_overloaded", "cut", "cut_in_tool")
    assert (got.usage.cache_write_tokens > 0 and got.usage.cache_read_tokens > 0) == streamed, (
        "the first wrote the cache, the second read it"
    )
    assert server.requests[0] == server.requests[-1]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 409])
def test_every_passing_status_is_transient(status: int) -> None:
    """L03."""
    assert _failure(status, {"error": {"type": "api_error", "message": "later"}}).kind is Kind.TRANSIENT


def test_no_connection_and_no_name_are_asked_again_and_named() -> None:
    """L03."""
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
    """L06."""
    failure = _failure(status, {"type": "error", "error": {"type": "some_error", "message": "exactly this"}})
    assert failure.kind in (Kind.PERMANENT, Kind.IDENTITY)
    assert f"{status} some_error: exactly this" in failure.sentence


def test_a_refused_key_ends_the_run_with_the_reason_and_without_the_key() -> None:
    """L06, G11."""
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
    """G11."""
    with answers(Answer(text="x")) as server, pytest.raises(LlmError) as caught:
        ask(llm_at(server, model="m", effort="x", base_url=f"{server.url}/{KEY}"))
    assert KEY not in str(caught.value)


def test_a_reached_spend_limit_is_not_repeated() -> None:
    """L07."""
    clock = FakeClock()
    with answers(Answer(fault="spend_limit"), READ) as server, pytest.raises(LlmError, match="monthly limit") as caught:
        ask(llm_at(server, clock))
    assert clock.slept == [] and len(server.requests) == 1
    assert "spend limit" in caught.value.hint


def test_a_prompt_that_is_too_long_is_an_answer_not_an_error() -> None:
    """L08."""
    with answers(Answer(fault="too_long")) as server:
        assert ask(llm_at(server)).stop_reason is StopReason.CONTEXT_EXCEEDED
    with answers(Answer(text="x", stop_reason="model_context_window_exceeded")) as server:
        assert ask(llm_at(server)).stop_reason is StopReason.CONTEXT_EXCEEDED


@pytest.mark.parametrize(
    ("stop", "seen"),
    [
        ("refusal", StopReason.REFUSAL),
        ("pause_turn", StopReason.PAUSE_TURN),
        ("stop_sequence", StopReason.UNKNOWN),
        ("new", StopReason.UNKNOWN),
    ],
)
def test_stop_reasons_are_a_closed_list(stop: str, seen: StopReason) -> None:
    """L10."""
    with answers(Answer(text="x", stop_reason=stop)) as server:
        assert ask(llm_at(server)).stop_reason is seen


@pytest.mark.parametrize("raw", ['{"path": "infra/ma', '{"path": NaN1}', "[1]", '"x"', "[" * 100_000, '{"n": ' + "9" * 5_000 + "}"])
def test_arguments_that_are_not_one_object_are_malformed_never_guessed(raw: str) -> None:
    """L09, L11: the SDK's own accumulator would complete a partial JSON text."""
    with answers(Answer(calls=READ.calls, raw_arguments=raw, stop_reason="max_tokens")) as server:
        got = ask(llm_at(server))
    assert got.tool_calls[0].arguments is None
    assert got.tool_calls[0].raw == raw[:2000]
    assert got.wire_blocks[-1]["input"] == {}


def test_half_a_character_in_arguments_can_be_sent_back() -> None:
    with answers(Answer(calls=READ.calls, raw_arguments='{"path": "\\ud800x"}'), Answer(text="ok")) as server:
        llm = llm_at(server)
        first = ask(llm)
        assert first.tool_calls[0].arguments == {"path": "?x"}
        assert ask(llm, (*GO, first, PeopleTurn(tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="x"),)))).text == "ok"


def test_two_calls_with_one_id_can_be_answered() -> None:
    """L11: the API refuses a message in which an id stands twice."""
    block = {"type": "tool_use", "id": "same", "name": "check", "input": {}}
    twice = LlmReply(text="", tool_calls=(), stop_reason=StopReason.TOOL_USE, usage=Usage(), llm_id="x", wire_blocks=(block, block))
    results = PeopleTurn(tool_results=(ToolResult(call_id="same", text="1"), ToolResult(call_id="same", text="2")))
    with answers(Answer(text="ok")) as server:
        assert ask(llm_at(server), (*GO, twice, results)).text == "ok"
    assert server.problems == []


def test_a_silent_stream_is_cut_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """L14."""
    assert anthropic_client.STALL_SECONDS == 60
    monkeypatch.setattr(anthropic_client, "STALL_SECONDS", 0.3)
    with answers(Answer(fault="stall", text="x" * 200), READ) as server:
        assert ask(llm_at(server)).tool_calls
    assert len(server.requests) == 2


def test_a_stream_of_pings_ends_at_the_deadline() -> None:
    """L14: bytes keep coming, so the read timeout alone would never end it."""
    clock = FakeClock()

    def pings(_: bytes) -> Iterable[bytes]:
        while True:
            clock.time += 30
            yield b'event: ping\ndata: {"type": "ping"}\n\n'

    with answers(Answer(text="x"), rechunk=pings) as server, pytest.raises(LlmError, match="too long"):
        ask(llm_at(server, clock, limits=Limits(timeout_seconds=1200)))


def test_no_wait_outlives_the_run() -> None:
    """L15, N11."""
    clock = FakeClock()
    with answers(*[Answer(fault="overloaded")] * 20) as server, pytest.raises(LlmError, match="Overloaded"):
        ask(llm_at(server, clock, limits=Limits(timeout_seconds=180 + 60)))
    assert sum(clock.slept) <= 60


@given(st.lists(st.sampled_from(["overloaded", "rate_limit", "cut"]) | st.floats(0, 1000), max_size=30), st.integers(0, 2**32))
def test_a_storm_of_failures_waits_within_the_budget_with_jitter_in_range(storm: list[Any], seed: int) -> None:
    """L15."""
    clock = FakeClock()
    llm = AnthropicLlm(Settings(anthropic_api_key=KEY), clock, uniform=random.Random(seed).uniform)
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


class Exchanges:
    """A token endpoint that takes each OIDC token once."""

    def __init__(self, expire_first: bool = False) -> None:
        self.seen: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.expire_first = expire_first

    def __call__(self, body: Any) -> tuple[int, dict[str, Any]]:
        self.bodies.append(dict(body))
        token = body["assertion"]
        reused = token in self.seen
        self.seen.append(token)
        if reused or (self.expire_first and len(self.seen) == 1):
            return 400, {"error": "invalid_grant", "error_description": "jti_reused"}
        return 200, {"access_token": f"access-{len(self.seen)}", "token_type": "Bearer", "expires_in": 600}


def federated(server: LlmServer, tokens: Iterable[str]) -> tuple[AnthropicLlm, list[str]]:
    minted = iter(tokens)
    audiences: list[str] = []

    def mint(audience: str) -> str:
        audiences.append(audience)
        return next(minted)

    fields = {"anthropic_federation_rule_id": "fdrl_1", "anthropic_organization_id": "org", "anthropic_workspace_id": "wrkspc_1"}
    return AnthropicLlm(Settings(base_url=server.url, **fields), FakeClock(), identity=mint), audiences


def test_federation_exchanges_a_fresh_token_for_access() -> None:
    """L16, keyless: no stored secret."""
    exchange = Exchanges()
    with answers(Answer(text="one"), Answer(text="two"), exchange=exchange) as server:
        llm, audiences = federated(server, ["jwt-1", "jwt-2"])
        assert ask(llm).text == "one"
        assert ask(llm, (*GO, PeopleTurn(text="more"))).text == "two"
    assert audiences == ["https://api.anthropic.com"]
    assert exchange.bodies[0]["federation_rule_id"] == "fdrl_1" and exchange.bodies[0]["workspace_id"] == "wrkspc_1"
    assert server.headers[0]["Authorization"] == "Bearer access-1"


def test_a_token_that_was_used_already_is_minted_anew_once() -> None:
    """L16."""
    exchange = Exchanges(expire_first=True)
    with answers(Answer(text="one"), exchange=exchange) as server:
        llm, _ = federated(server, ["jwt-1", "jwt-2", "jwt-3"])
        assert ask(llm).text == "one"
    assert exchange.seen == ["jwt-1", "jwt-2"]
    exchange = Exchanges()
    exchange.seen = ["jwt-1"]
    with answers(Answer(text="one"), exchange=exchange) as server:
        llm, _ = federated(server, ["jwt-1", "jwt-1", "jwt-1"])
        with pytest.raises(LlmError, match="jti_reused") as caught:
            ask(llm)
        assert len(exchange.bodies) == 2
    assert "jwt-1" not in str(caught.value)


def test_an_access_token_that_expired_is_replaced_once() -> None:
    """L16."""
    exchange = Exchanges()
    with answers(Answer(fault="unauthorised"), Answer(text="one"), exchange=exchange) as server:
        llm, _ = federated(server, ["jwt-1", "jwt-2", "jwt-3"])
        assert ask(llm).text == "one"
    assert exchange.seen == ["jwt-1", "jwt-2"]


@pytest.mark.parametrize(
    "usage",
    [
        {},
        {"input_tokens": -5, "output_tokens": 7},
        {"input_tokens": None, "output_tokens": "x"},
        {"input_tokens": True, "output_tokens": 10**30},
    ],
)
def test_usage_that_is_missing_or_absurd_never_lowers_the_count(usage: dict[str, Any]) -> None:
    """L17."""
    with answers(Answer(text="x", usage=usage)) as server:
        got = ask(llm_at(server)).usage
    assert got.input_tokens >= 0 and 0 <= got.output_tokens <= 10**9 and got.cost_usd >= 0


@pytest.mark.parametrize(
    "body", [{}, {"type": "message_start"}, {"type": 7}, {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta"}}, []]
)
def test_an_event_that_makes_no_sense_is_a_broken_stream(body: Any) -> None:
    with pytest.raises(BrokenStream):
        Assembly("x").take_all([body])


_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)
_scripted = st.builds(
    Answer,
    text=_texts.filter(str.strip),
    calls=st.lists(st.tuples(st.just("write_file"), st.fixed_dictionaries({"path": _texts, "content": _texts})), max_size=3).map(tuple),
)


@given(_scripted, st.lists(st.integers(1, 60), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_chunking_of_a_stream_gives_the_same_calls(answer: Answer, sizes: list[int]) -> None:
    """The fuzzing target "SSE parser": chunks cut events, lines and characters anywhere."""

    def rechunk(whole: bytes) -> Iterable[bytes]:
        at = turn = 0
        while at < len(whole):
            yield whole[at : at + sizes[turn % len(sizes)]]
            at, turn = at + sizes[turn % len(sizes)], turn + 1

    got = _through_sdk(rechunk(b"".join(events(message(answer, 1, "claude-opus-5-5", {"output_tokens": 1})))))
    assert [(c.name, c.arguments) for c in got.tool_calls] == [(n, dict(a)) for n, a in answer.calls]
    assert got.text == answer.text


@given(_scripted, st.data())
@settings(max_examples=60, deadline=None)
def test_a_stream_that_ends_early_gives_no_calls_at_all(answer: Answer, data: st.DataObject) -> None:
    """L05: wherever it is cut."""
    whole = b"".join(events(message(answer, 1, "claude-opus-5-5", {"output_tokens": 1})))
    end = whole.rindex(b"event: message_stop")
    with pytest.raises((BrokenStream, ValueError)):
        _through_sdk([whole[: data.draw(st.integers(0, end))]])


def _through_sdk(chunks: Iterable[bytes]) -> LlmReply:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=iter(chunks)))
    client = anthropic.Anthropic(api_key="x", base_url="http://127.0.0.1", http_client=httpx2.Client(transport=transport), max_retries=0)
    with client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}], stream=True) as stream:
        return Assembly("m").take_all(stream)


def test_nothing_ambient_changes_where_requests_go_or_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """K11."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name, value in {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:2",
        "ANTHROPIC_API_KEY": "sk-ambient",
        "ANTHROPIC_AUTH_TOKEN": "ambient",
        "ANTHROPIC_CUSTOM_HEADERS": "x-evil: 1",
        "ANTHROPIC_PROFILE": "evil",
        "SSL_CERT_FILE": "/nonexistent",
        "REQUESTS_CA_BUNDLE": "/nonexistent",
    }.items():
        monkeypatch.setenv(name, value)
    with answers(Answer(text="here")) as server:
        assert ask(llm_at(server)).text == "here"
    headers = {k.lower(): v for k, v in server.headers[0].items()}
    assert headers.get("x-api-key") or headers["authorization"] == f"Bearer {KEY}"
    assert "x-evil" not in headers and "ambient" not in str(headers)


def test_without_a_credential_the_run_does_not_start() -> None:
    with answers(Answer(text="x")) as server, pytest.raises(ConfigError, match="no credential"):
        ask(llm_at(server, anthropic_api_key=""))


def test_bedrock_without_its_extra_or_its_keys_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LlmError) as caught:
        ask(llm_at("http://127.0.0.1:9", use_bedrock=True))
    assert "bedrock_role_arn" in caught.value.hint
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ToolchainError) as missing:
        ask(llm_at("http://127.0.0.1:9", use_bedrock=True))
    assert "ops-agent[bedrock]" in missing.value.hint


def on_bedrock(server: LlmServer, clock: FakeClock | None = None) -> tuple[AnthropicLlm, list[int]]:
    minted: list[int] = []

    def keys() -> tuple[str, str, str]:
        minted.append(1)
        return "AKIDEXAMPLE", "secret", f"session-{len(minted)}"

    fields: dict[str, Any] = {"use_bedrock": True, "base_url": server.url, "model": "global.anthropic.claude-opus-5-5-v1:0"}
    return AnthropicLlm(Settings(**fields), clock or FakeClock(), bedrock=keys, uniform=lambda _, high: high), minted


def test_bedrock_answers_over_its_own_wire_format_signed_with_the_given_keys() -> None:
    """R16, pain point 23: cache points are set there too, whatever the id looks like."""
    with answers(Answer(text="one", calls=READ.calls), Answer(text="two")) as server:
        llm, minted = on_bedrock(server)
        first = ask(llm)
        second = ask(llm, (*GO, first, PeopleTurn(tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="x"),))))
    assert first.tool_calls[0].arguments == {"path": "infra/main.tf"} and second.text == "two"
    assert second.usage.cache_read_tokens > 0 and 0 < first.usage.cost_usd < 1
    assert minted == [1]
    signature = server.headers[0]["Authorization"]
    assert "Credential=AKIDEXAMPLE/" in signature and "/sa-east-1/bedrock/aws4_request" in signature
    assert server.headers[0]["X-Amz-Security-Token"] == "session-1"
    assert not any("strict" in t for t in server.requests[0]["tools"])


@pytest.mark.parametrize("fault", ["overloaded", "sse_overloaded", "cut_in_tool", "server_error"])
def test_bedrocks_failures_are_asked_again_whole(fault: str) -> None:
    with answers(Answer(fault=fault, text="x" * 99, calls=READ.calls), Answer(text="ok")) as server:
        assert ask(on_bedrock(server)[0]).text == "ok"


def test_bedrocks_keys_are_renewed_before_they_end() -> None:
    clock = FakeClock()
    with answers(Answer(text="1"), Answer(text="2"), Answer(text="3")) as server:
        llm, minted = on_bedrock(server, clock)
        ask(llm)
        clock.time += 30 * 60
        ask(llm, (*GO, PeopleTurn(text="a")))
        clock.time += 16 * 60
        llm._end = clock.time + 1000
        ask(llm, (*GO, PeopleTurn(text="b")))
    assert minted == [1, 1]
    assert server.headers[-1]["X-Amz-Security-Token"] == "session-2"


def test_the_sdk_is_not_imported_before_it_is_needed() -> None:
    """Start-up: the import takes a second, `--help` and `doctor` do not pay for it."""
    code = "import sys, ops_agent.adapters.anthropic_llm; sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_prices_are_found_by_family_and_the_unknown_is_dear() -> None:
    assert price_of("claude-opus-5-5")[0].input == 4
    assert price_of("claude-opus-5")[0].input == 5
    assert price_of("claude-opus-4-1-20250805")[0].input == 15
    assert price_of("claude-haiku-4-5-20251001")[0].output == 5
    assert price_of("arn:aws:bedrock:sa-east-1:1:inference-profile/global.anthropic.claude-sonnet-5-5-v1:0")[0].output == 10
    for unknown in ("gpt-9", "", "claude-opus-50", "claude-opus-5x", "arn:aws:bedrock:sa-east-1:1:application-inference-profile/abc"):
        assert price_of(unknown) == (UNKNOWN, False)
    used = priced("claude-opus-5-5", input_tokens=10**6, output_tokens=10**6, cache_read_tokens=10**6, cache_write_tokens=10**6)
    assert used.cost_usd == pytest.approx(4 + 20 + 5 + 0.2)


def test_every_fault_of_the_server_is_one_that_the_adapter_understands() -> None:
    for fault in (f for f in FAULTS if f != "stall"):
        with answers(*[Answer(fault=fault, text="x" * 99, calls=READ.calls)] * 9) as server:
            try:
                assert ask(llm_at(server)).stop_reason is StopReason.CONTEXT_EXCEEDED
            except LlmError as error:
                assert error.hint and str(error)


def test_the_server_refuses_what_the_real_api_would_refuse() -> None:
    with answers(Answer(text="x")) as server:
        client = httpx2.Client(base_url=server.url, headers={"x-api-key": "k"}, trust_env=False)

        def post(**fields: Any) -> int:
            body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], **fields}
            return client.post("/v1/messages", content=json.dumps(body)).status_code

        assert post(temperature=1) == 400
        assert post(messages=[]) == 400
        assert post(max_tokens="many") == 400
        assert post(messages=[{"role": "user", "content": []}]) == 400
        asked = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]}
        assert post(messages=[{"role": "user", "content": "x"}, asked, {"role": "user", "content": "no result"}]) == 400
        assert post() == 200
        assert client.post("/v1/messages/count_tokens", content=b"{}").json()["input_tokens"] >= 0
        assert client.post("/v1/else", content=b"{}").status_code == 404
        assert httpx2.post(f"{server.url}/v1/messages", content=b"{}", trust_env=False).status_code == 401


def test_a_script_reacts_to_what_it_is_told() -> None:
    def play() -> Any:
        told = yield Answer()
        while "stop" not in told.last_text:
            told = yield Answer(text=f"you said {told.last_text}")

    with LlmServer([Script(play=play, match="go")]) as server:
        llm = llm_at(server)
        assert ask(llm).text == "you said go"
        assert ask(llm, (*GO, PeopleTurn(text="b"))).text == "you said b"
        assert "nothing more" in ask(llm, (*GO, PeopleTurn(text="stop"))).text
        assert "nothing more" in ask(llm, (PeopleTurn(text="another conversation"),)).text
    assert Exchange(body=server.requests[0]).first_text == "go"
