"""The scripted llm: it refuses what the real API refuses, and plays its scripts."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from adapters.llm.llm_answers import GO, READ, answers, ask, llm_at
from ops_agent.model.conversation import PeopleTurn, StopReason
from ops_agent.model.errors import LlmError
from ops_agent_demo.llm.script import FAULTS, Answer, Exchange, Script
from ops_agent_demo.llm.server import LlmServer


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


def test_a_script_reacts_to_the_last_message() -> None:
    def play() -> Any:
        exchange = yield Answer()
        while "stop" not in exchange.last_text:
            exchange = yield Answer(text=f"you said {exchange.last_text}")

    with LlmServer([Script(play=play, match="go")]) as server:
        llm = llm_at(server)
        assert ask(llm).text == "you said go"
        assert ask(llm, (*GO, PeopleTurn(text="b"))).text == "you said b"
        assert "nothing more" in ask(llm, (*GO, PeopleTurn(text="stop"))).text
        assert "nothing more" in ask(llm, (PeopleTurn(text="another conversation"),)).text
    assert Exchange(body=server.requests[0]).first_text == "go"
