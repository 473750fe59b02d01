"""How the llm client authenticates, and at which host: federation, Bedrock, and nothing from the environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from adapters.llm.llm_answers import GO, KEY, READ, answers, ask, llm_at
from doubles.clock import FakeClock
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.adapters.llm.stream import Price, cost_of, price_of
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import PeopleTurn, ToolResult, Usage
from ops_agent.model.errors import ConfigError, LlmError, ToolchainError
from ops_agent_demo.llm.script import Answer
from ops_agent_demo.llm.server import LlmServer


class Exchanges:
    """A token endpoint that accepts each OIDC token once."""

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


RUN: dict[str, Any] = {"region": "sa-east-1", "working_seconds": 2_700}


def federated(server: LlmServer, tokens: Iterable[str]) -> tuple[AnthropicLlm, list[str]]:
    minted = iter(tokens)
    audiences: list[str] = []

    def mint(audience: str) -> str:
        audiences.append(audience)
        return next(minted)

    fields = {
        "anthropic_federation_rule_id": "fdrl_1",
        "anthropic_organization_id": "org",
        "anthropic_workspace_id": "wrkspc_1",
    }
    return AnthropicLlm(LlmSettings(base_url=server.url, **fields), FakeClock(), **RUN, identity=mint), audiences


def test_federation_exchanges_a_fresh_token_for_access() -> None:
    """There is no stored key."""
    exchange = Exchanges()
    with answers(Answer(text="one"), Answer(text="two"), exchange=exchange) as server:
        llm, audiences = federated(server, ["jwt-1", "jwt-2"])
        assert ask(llm).text == "one"
        assert ask(llm, (*GO, PeopleTurn(text="more"))).text == "two"
    assert audiences == ["https://api.anthropic.com"]
    assert exchange.bodies[0]["federation_rule_id"] == "fdrl_1" and exchange.bodies[0]["workspace_id"] == "wrkspc_1"
    assert server.headers[0]["Authorization"] == "Bearer access-1"


def test_a_token_that_was_used_already_is_minted_anew_once() -> None:
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
    exchange = Exchanges()
    with answers(Answer(fault="unauthorised"), Answer(text="one"), exchange=exchange) as server:
        llm, _ = federated(server, ["jwt-1", "jwt-2", "jwt-3"])
        assert ask(llm).text == "one"
    assert exchange.seen == ["jwt-1", "jwt-2"]


def test_nothing_ambient_changes_where_requests_go_or_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
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

    fields: dict[str, Any] = {
        "use_bedrock": True,
        "base_url": server.url,
        "model": "global.anthropic.claude-opus-5-5-v1:0",
    }
    return AnthropicLlm(
        LlmSettings(**fields),
        clock or FakeClock(),
        region="sa-east-1",
        working_seconds=2_700,
        bedrock=keys,
        uniform=lambda _, high: high,
    ), minted


def test_bedrock_answers_over_its_own_wire_format_signed_with_the_given_keys() -> None:
    """Cache points are set there too, whatever the id looks like."""
    with answers(Answer(text="one", calls=READ.calls), Answer(text="two")) as server:
        llm, minted = on_bedrock(server)
        first = ask(llm)
        second = ask(
            llm, (*GO, first, PeopleTurn(tool_results=(ToolResult(call_id=first.tool_calls[0].id, text="x"),)))
        )
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
    """The import takes a second, which `--help` and `doctor` do not need to spend."""
    code = "import sys, ops_agent.adapters.llm.anthropic_llm; sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_prices_are_found_by_family_and_an_unknown_llm_costs_the_most() -> None:
    assert price_of("claude-opus-5-5").input == 4
    assert price_of("claude-opus-5").input == 5
    assert price_of("claude-opus-4-1-20250805").input == 15
    assert price_of("claude-haiku-4-5-20251001").output == 5
    assert (
        price_of("arn:aws:bedrock:sa-east-1:1:inference-profile/global.anthropic.claude-sonnet-5-5-v1:0").output == 10
    )
    for unknown in (
        "gpt-9",
        "",
        "claude-opus-50",
        "claude-opus-5x",
        "arn:aws:bedrock:sa-east-1:1:application-inference-profile/abc",
    ):
        assert price_of(unknown) == Price(15, 75, 18.75, 1.5)
    million = 10**6
    used = Usage(input_tokens=million, output_tokens=million, cache_read_tokens=million, cache_write_tokens=million)
    assert cost_of("claude-opus-5-5", used) == pytest.approx(4 + 20 + 5 + 0.2)
