"""How the llm client authenticates, and at which host: federation, and nothing from the environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from adapters.llm.llm_answers import GO, KEY, answers, ask, llm_at
from doubles.clock import FakeClock
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.adapters.llm.stream import Price, cost_of, price_of
from ops_agent.config.settings import LlmSettings
from ops_agent.model.conversation import PeopleTurn, Usage
from ops_agent.model.errors import ConfigError, LlmError
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


MASKED: list[str] = []
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
    settings = LlmSettings(base_url=server.url, **fields)
    return AnthropicLlm(settings, FakeClock(), **RUN, identity=mint, mask=MASKED.append), audiences


def test_federation_exchanges_a_fresh_token_for_access() -> None:
    """There is no stored key, and what is exchanged is masked."""
    exchange = Exchanges()
    MASKED.clear()
    with answers(Answer(text="one"), Answer(text="two"), exchange=exchange) as server:
        llm, audiences = federated(server, ["jwt-1", "jwt-2"])
        assert ask(llm).text == "one"
        assert ask(llm, (*GO, PeopleTurn(text="more"))).text == "two"
    assert audiences == ["https://api.anthropic.com"]
    assert exchange.bodies[0]["federation_rule_id"] == "fdrl_1" and exchange.bodies[0]["workspace_id"] == "wrkspc_1"
    assert server.headers[0]["Authorization"] == "Bearer access-1" and MASKED == ["access-1"]


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
