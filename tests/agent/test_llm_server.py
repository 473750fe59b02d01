"""The scripted llm: it refuses what the real API refuses, and plays its scripts."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from doubles.clock import FakeClock
from ops_agent.adapters.llm.anthropic_llm import AnthropicLlm
from ops_agent.agent.toolbox import specs
from ops_agent.demo.llm import Answer, Exchange, LlmServer
from ops_agent.demo.llm.script import FAULTS, Script, of_answers
from ops_agent.domain.conversation import LlmReply, PeopleTurn, StopReason, Turn
from ops_agent.errors import LlmError
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
